"""The Dagster shell: what it defines, and a small history of real flights through a real instance."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from data import day, write_project
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from project import Project

from assets.stage import contract_result
from driftlake.cli import main
from driftlake.config import Settings, load_settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly import otel
from driftlake.nightly.stage_report import StageReport
from driftlake.quality import levels
from driftlake.report import model_page
from driftlake.training.registration import register_folder
from jobs.abandoned import held_by_this_process
from jobs.definitions import build_definitions
from jobs.launch import LaunchFailure, launch
from jobs.resources import warehouse_resource

ROOT = Path(__file__).resolve().parents[2]
FIRST, LAST = date(2013, 3, 1), date(2013, 3, 4)


@dataclass(frozen=True)
class Launched:
    """A project whose days have run, and what was told of each run."""

    settings: Settings
    folder: Path
    told: Sequence[tuple[str, str | None, str | None]]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """The flights example at a small size, four days, a tenth of the flights: its first day and then all of them run."""
    folder = tmp_path_factory.mktemp("flights") / "project"
    # a process of its own, because scikit-learn and its threads are nothing the rest of the suite should inherit
    build = [sys.executable, "-m", "examples.nycflights.build", "--out", str(folder / "data")]
    subprocess.run([*build, "--to", LAST.isoformat(), "--share", "0.1"], cwd=ROOT, check=True, capture_output=True)
    (folder / "driftlake.yaml").write_text(
        "telemetry: {path: data/telemetry}\nlabels: {path: data/labels}\nlineage: {path: data/lineage}\n"
        f"start: {FIRST}\nend: {LAST}\nschedule: {{hour: 2, timezone: America/New_York}}\n"
        "drift: {minimum_rows: 50}\ncompute: {threads: 1}\n"
        "slos: [{name: whole, sli: completeness, objective: 0.9}]\n"
    )
    settings = load_settings(folder / "driftlake.yaml")
    told: list[tuple[str, str | None, str | None]] = []
    with dagster_home(folder / "dagster"):
        for days in ([FIRST], days_between(FIRST, LAST)):
            assert launch(settings, days, lambda *done: told.append(done)) is None
        gc.collect()
    shutil.copytree(folder, folder.with_name("kept"))
    return Launched(settings, folder, told)


@pytest.fixture
def flights(launched: Launched) -> Iterator[Settings]:
    """The flights, their warehouse and their instance as they were after all days had run."""
    shutil.rmtree(launched.folder)
    shutil.copytree(launched.folder.with_name("kept"), launched.folder)
    with dagster_home(launched.folder / "dagster"):
        yield launched.settings


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Path]:
    """A Dagster instance folder of its own."""
    with dagster_home(tmp_path / "dagster"):
        yield tmp_path / "dagster"


@contextmanager
def dagster_home(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("DAGSTER_HOME", str(folder))
        # Dagster's storage leaves SQLite connections to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def test_the_graph_the_job_and_the_schedule_are_what_users_see(launched: Launched) -> None:
    definitions = build_definitions(launched.settings)
    graph = definitions.resolve_asset_graph()
    assert {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()} == {
        "telemetry": "inputs",
        "labels": "inputs",
        "lineage_files": "inputs",
        "training_lineage": "lineage",
        "profiles": "profiles",
        "label_cohorts": "labels",
        "drift": "drift",
        "model_quality": "labels",
        "alerts": "action",
        "report": "action",
    }
    assert {key.to_user_string() for key in graph.asset_check_keys} == {
        "profiles:telemetry_contract",
        "label_cohorts:labels_contract",
    }
    schedule = definitions.resolve_schedule_def("nightly")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "America/New_York")
    weekly = definitions.resolve_schedule_def("maintenance")
    assert (weekly.cron_schedule, weekly.execution_timezone) == ("0 14 * * 0", "America/New_York")


def test_profiles_rest_on_the_sums_of_shap_values_where_there_are_any(tmp_path: Path) -> None:
    telemetry = {"path": "telemetry", "shap": {"path": "shap"}}
    settings = write_project(tmp_path, features=["x"], training={"x": [1.0], "score": [0.1]}, telemetry=telemetry)
    graph = build_definitions(settings).resolve_asset_graph()
    parents = {key.to_user_string() for key in graph.get(dg.AssetKey("profiles")).parent_keys}
    assert parents == {"telemetry", "explanations", "training_lineage"}


def test_partitions_run_from_the_first_day_to_the_last(launched: Launched) -> None:
    partitions = build_definitions(launched.settings).resolve_job_def("nightly").partitions_def
    assert partitions is not None
    assert partitions.get_partition_keys() == [day.isoformat() for day in days_between(FIRST, LAST)]


def materialized(asset: str) -> set[str]:
    with dg.DagsterInstance.get() as dagster:
        return set(dagster.get_materialized_partitions(dg.AssetKey(asset)))


def test_real_flights_go_through_a_real_instance(launched: Launched, flights: Settings) -> None:
    every_day = {day.isoformat() for day in days_between(FIRST, LAST)}
    assert {asset: materialized(asset) for asset in ("profiles", "alerts")} == dict.fromkeys(
        ("profiles", "alerts"), every_day
    )
    assert len([asset for asset, partition, _ in launched.told if asset == "drift" and partition]) == 1 + len(every_day)
    assert "enabled: false" in (launched.folder / "dagster" / "dagster.yaml").read_text()
    with Warehouse.open(flights, read_only=True) as warehouse:
        telemetry = warehouse.sql(f"select count(*) as n from '{flights.resolve('data/telemetry')}/*/*.parquet'")
        counted = warehouse.sql("select sum(row_count)::bigint as n from prediction_profile")
        checks = warehouse.sql("select distinct source, outcome from contract_checks order by source")
    assert counted["n"].to_pylist() == telemetry["n"].to_pylist()
    assert checks.to_pylist() == [
        {"source": "labels", "outcome": "passed"},
        {"source": "telemetry", "outcome": "passed"},
        {"source": "training", "outcome": "passed"},
    ]
    reports = Path(flights.resolve(flights.reports.path))
    assert {path.name for path in reports.iterdir()} == {
        "data_docs",
        "static",
        "runbooks.html",
        f"{FIRST}.html",
        f"{LAST}.html",
        "index.html",
    }


def test_the_maintenance_job_does_its_work_in_an_instance(flights: Settings) -> None:
    with Warehouse.open(flights, read_only=True) as warehouse:
        rows = warehouse.sql("from feature_bins order by all")
    with dg.DagsterInstance.get() as dagster:
        job = build_definitions(flights).resolve_job_def("maintenance")
        assert job.execute_in_process(instance=dagster).success
    with Warehouse.open(flights, read_only=True) as warehouse:
        assert warehouse.sql("from feature_bins order by all") == rows


def test_a_run_and_its_stages_are_observed(flights: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    spans, tracers = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    observer = otel.Observer(tracers, None, 2.0)
    monkeypatch.setattr(otel, "observer", lambda: observer)
    assert launch(flights, [FIRST], lambda *_: None, is_forced=True) is None
    [run] = [span for span in spans.get_finished_spans() if span.parent is None]
    stages = {span.name: dict(span.attributes or {}) for span in spans.get_finished_spans() if span.parent}
    assert (run.attributes or {})["driftlake.job"] == "nightly"
    assert {"driftlake.profiles", "driftlake.label_cohorts", "driftlake.drift", "driftlake.alerts"} <= stages.keys()
    assert stages["driftlake.profiles"]["driftlake.rows"] > 0
    assert {attributes["driftlake.first_day"] for attributes in stages.values()} == {FIRST.isoformat()}


def launch_and_watch(flights: Settings, days: Sequence[date], **how: Any) -> tuple[LaunchFailure | None, set[str]]:
    """Why a run failed, and what the metadata of its days says was to do there."""
    work: set[str] = set()
    failure = launch(flights, days, lambda _asset, _partition, done: work.add(done) if done else None, **how)
    return failure, work


def test_a_run_without_changes_works_on_nothing_unless_it_is_forced(flights: Settings) -> None:
    assert launch_and_watch(flights, [FIRST]) == (None, {"unchanged"})
    assert launch_and_watch(flights, [FIRST], is_forced=True) == (None, {"done"})


def said(config: Path, *arguments: str) -> tuple[object, str]:
    """How the command ends and what it says, in this process: one of its own takes seconds to load Dagster."""
    # the bar needs a file with a descriptor
    path = config.with_name("messages.txt")
    with (
        path.open("w") as messages,
        patch.dict(os.environ),
        patch.object(sys, "argv", ["driftlake", *arguments, "--config", str(config)]),
        patch.object(gc, "set_threshold"),
        redirect_stderr(messages),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return ended.value.code or 0, path.read_text()


def test_replay_counts_what_was_repaired(flights: Settings) -> None:
    folder = Path(flights.resolve(f"data/telemetry/dt={FIRST}"))
    more = folder / "part-1.parquet"
    table = pq.read_table(folder / "part-0.parquet").slice(0, 20)
    ids = pa.array([f"more-{row}" for row in range(20)])
    table = table.set_column(table.column_names.index("correlation_id"), "correlation_id", ids)
    config = folder.parents[2] / "driftlake.yaml"
    more.write_bytes(b"PAR1")
    launch(flights, [FIRST], lambda *_: None)
    still_broken = said(config, "replay")
    pq.write_table(table, more)
    repaired = said(config, "replay")
    assert (still_broken[0], repaired[0]) == (1, 0)
    assert "in quarantine: 1 before, 1 now" in still_broken[1]
    assert "in quarantine: 1 before, 0 now" in repaired[1]
    with Warehouse.open(flights, read_only=True) as warehouse:
        outcome = warehouse.sql("select outcome from current_runs where dt = ? and stage = 'profiles'", [FIRST])
    assert outcome["outcome"].to_pylist() == ["complete"]


def test_a_refused_day_fails_the_run_by_name_after_the_others_are_done(flights: Settings) -> None:
    path = Path(flights.resolve(f"data/telemetry/dt={date(2013, 3, 2)}/part-0.parquet"))
    path.write_bytes(path.read_bytes()[:-10])
    failure = launch(flights, days_between(FIRST, LAST), lambda *_: None)
    again, work = launch_and_watch(flights, days_between(FIRST, LAST))
    assert failure is not None
    assert (again, work) == (failure, {"unchanged"})
    assert failure.message.splitlines()[0] == "done, but 1 input was refused or failed:"
    assert failure.message.splitlines()[1].startswith(f"2013-03-02 (profiles, refused): {path} is not a readable")
    assert failure.is_refusal
    assert date(2013, 3, 4).isoformat() in materialized("report") | materialized("alerts")


def test_a_version_that_breaks_its_contract_is_refused_to_the_end_of_the_run(tmp_path: Path, instance: Path) -> None:
    project = Project(tmp_path / "project", end=day(1))
    project.telemetry(1)
    pq.write_table(
        pa.table({"x": [0.0, 1.0], "colour": ["red"] * 2, "score": [0.5, 1.7]}), project.root / "bad.parquet"
    )
    lineage = yaml.safe_load((project.root / "lineage" / "credit-v1.yaml").read_text())
    bad = {"model_version": "v2", "training_dataset_id": "data-2", "training_data": "../bad.parquet"}
    (project.root / "lineage" / "credit-v2.yaml").write_text(yaml.safe_dump(lineage | bad))
    failure = launch(project.settings, [day(1)], lambda *_: None)
    assert failure is not None
    assert failure.is_refusal
    assert "score lies outside 0..1" in failure.message
    assert project.rows("select model_version from training_runs") == [("v1",)]


def test_what_fails_is_told_in_full_and_fails_the_run_after_everything_else(
    tmp_path: Path, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "project", end=day(1))
    project.telemetry(1)
    told: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(levels, "measure", lambda *_: 1 / 0)
        patched.setattr(model_page, "_latency_figures", lambda *_: 1 / 0)
        failure = launch(project.settings, [day(1)], lambda *_: None, told.append)
    assert failure is not None
    assert failure.is_refusal
    assert failure.message.splitlines()[:3] == [
        "done, but 2 inputs were refused or failed:",
        "2024-03-01 (drift, failed): ZeroDivisionError: division by zero",
        "2024-03-01 (report, failed): ZeroDivisionError: division by zero",
    ]
    assert [text.count("Traceback (most recent call last)") for text in told] == [1, 1]
    assert project.rows("select stage, outcome from current_runs where outcome <> 'complete' order by stage") == [
        ("drift", "failed"),
        ("label_cohorts", "empty"),
    ]
    assert launch(project.settings, [day(1)], lambda *_: None) is None


def test_without_any_version_the_run_says_why_each_file_was_refused(tmp_path: Path, instance: Path) -> None:
    project = Project(tmp_path / "project", end=day(1))
    shutil.rmtree(project.root / "warehouse")
    project.telemetry(1)
    path = project.root / "lineage" / "credit-v1.yaml"
    path.write_text(path.read_text() + "released_at: 2026-02-30\n")
    failure = launch(project.settings, [day(1)], lambda *_: None)
    assert failure is not None
    assert not failure.is_refusal
    assert "no model version is registered:" in failure.message
    assert "released_at: day is out of range for month, found 2026-02-30" in failure.message


def driftlake(config: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from driftlake.cli import main; main()", *arguments, "--config", str(config)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.processes
def test_four_processes_backfill_a_new_instance_while_two_others_read(
    flights: Settings, instance: Path, tmp_path: Path
) -> None:
    config = tmp_path / "driftlake.yaml"
    text = Path(flights.resolve("driftlake.yaml")).read_text()
    config.write_text(text.replace("data/", f"{flights.resolve('data')}/") + "contracts: {enabled: false}\n")
    settings = load_settings(config)
    with Warehouse.open(settings) as warehouse:
        register_folder(warehouse, settings)
    days = days_between(FIRST, LAST)
    writers = [driftlake(config, "backfill", "--from", str(day), "--to", str(day)) for day in days]
    readers = [driftlake(config, "sql", "select count(*) from feature_drift", "--format", "csv") for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in (*writers, *readers)]
    assert [process.returncode for process in (*writers, *readers)] == [0] * 6, "\n".join(errors)
    assert materialized("alerts") == {day.isoformat() for day in days}
    with Warehouse.open(settings, read_only=True) as warehouse:
        counted = warehouse.sql(
            "select stage, count(distinct dt) as days from partition_runs group by stage"
        ).to_pylist()
    assert {row["stage"]: row["days"] for row in counted} == dict.fromkeys(
        ("profiles", "label_cohorts", "drift", "model_quality", "slos", "alerts"), len(days)
    )


def test_the_command_says_that_nothing_changed(flights: Settings) -> None:
    code, told = said(Path(flights.resolve("driftlake.yaml")), "run", "--date", str(FIRST))
    assert "unchanged: nothing that these days depend on has changed" in told
    assert code == 0


def late_requests(flights: Settings) -> tuple[list[dg.RunRequest], str | None]:
    """What a tick of the sensor asks for, and why it asks for nothing."""
    definitions = build_definitions(flights)
    with dg.DagsterInstance.get() as dagster:
        context = dg.build_sensor_context(instance=dagster, repository_def=definitions.get_repository_def())
        tick = definitions.resolve_sensor_def("late_files").evaluate_tick(context)
    return list(tick.run_requests or ()), tick.skip_message


def run_request(flights: Settings, request: dg.RunRequest) -> None:
    job = build_definitions(flights).resolve_job_def("nightly")
    with dg.DagsterInstance.get() as dagster:
        assert job.execute_in_process(instance=dagster, tags=dict(request.tags)).success


def test_a_rewritten_file_is_asked_for_once_until_its_days_have_run_again(flights: Settings) -> None:
    assert late_requests(flights) == ([], "the files have not changed since they were recorded")
    path = Path(flights.resolve(f"data/labels/dt={date(2013, 3, 2)}/part-0.parquet"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))
    (request,), _ = late_requests(flights)
    assert request.partition_key_range == dg.PartitionKeyRange("2013-03-02", LAST.isoformat())
    assert [again.run_key for again in late_requests(flights)[0]] == [request.run_key]
    run_request(flights, request)
    assert late_requests(flights) == ([], "the files have not changed since they were recorded")


def test_a_late_file_of_the_newest_day_is_asked_for_as_that_partition(flights: Settings) -> None:
    path = Path(flights.resolve(f"data/telemetry/dt={LAST}/part-0.parquet"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))
    (request,), _ = late_requests(flights)
    assert request.partition_key == LAST.isoformat()


def test_the_sensor_waits_for_a_run_that_is_under_way(flights: Settings) -> None:
    with dg.DagsterInstance.get() as dagster:
        job = build_definitions(flights).resolve_job_def("nightly")
        dagster.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert late_requests(flights) == ([], "a run of nightly is in progress")


KILLED = """
import os, signal
import dagster as dg
from jobs.abandoned import held_by_this_process

@dg.job
def nightly(): pass

with dg.DagsterInstance.get() as dagster, held_by_this_process(dagster) as tags:
    dagster.create_run_for_job(nightly, status=dg.DagsterRunStatus.STARTED, tags=tags)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_run_of_a_killed_command_is_ended_and_that_of_a_living_one_awaited(flights: Settings) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED], check=False, cwd=ROOT).returncode == -signal.SIGKILL
    with dg.DagsterInstance.get() as dagster:
        [killed] = dagster.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        assert late_requests(flights) == ([], "the files have not changed since they were recorded")
        assert dagster.get_run_by_id(killed.run_id).status is dg.DagsterRunStatus.FAILURE
        with held_by_this_process(dagster) as tags:
            job = build_definitions(flights).resolve_job_def("nightly")
            dagster.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
            assert late_requests(flights) == ([], "a run of nightly is in progress")


@pytest.mark.parametrize(("end", "status"), [(LAST, "STOPPED"), (None, "RUNNING")])
def test_the_sensor_runs_unless_the_history_has_ended(flights: Settings, end: date | None, status: str) -> None:
    definitions = build_definitions(flights.model_copy(update={"end": end}))
    assert definitions.resolve_sensor_def("late_files").default_status.value == status


CONSOLE = """
import json, sys
from pathlib import Path
from driftlake.config import load_settings
from jobs.abandoned import held_by_this_process
from jobs.definitions import build_definitions
build_definitions(load_settings(Path(sys.argv[1]))).resolve_job_def("nightly")
heavy = [name for name in ("great_expectations", "altair", "scipy.stats", "pandas") if name in sys.modules]
print(json.dumps(heavy))
"""


def test_loading_the_definitions_prints_nothing_and_imports_nothing_heavy(flights: Settings) -> None:
    config = flights.resolve("driftlake.yaml")
    loaded = subprocess.run(
        [sys.executable, "-W", "default", "-c", CONSOLE, config], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(loaded.stdout) == []
    assert "Warning" not in loaded.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_a_run_has_a_limit_on_memory_while_the_warehouse_is_open_and_its_process_none(tmp_path: Path) -> None:
    import resource

    limits: list[int] = []

    @dg.op(required_resource_keys={"warehouse"})
    def look() -> None:
        limits.append(resource.getrlimit(resource.RLIMIT_DATA)[0])

    @dg.job(resource_defs={"warehouse": warehouse_resource(Project(tmp_path / "project", end=day(1)).settings)})
    def looking() -> None:
        look()

    with dg.DagsterInstance.ephemeral() as dagster:
        assert looking.execute_in_process(instance=dagster).success
    [within] = limits
    assert 0 < within < 2**40
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def test_the_instance_that_the_documentation_shows_can_be_loaded(instance: Path) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    shown = page.partition("<!-- dagster.yaml -->\n```yaml\n")[2].partition("```")[0]
    instance.mkdir()
    (instance / "dagster.yaml").write_text(shown)
    with dg.DagsterInstance.get() as dagster:
        queue = dagster.get_concurrency_config().run_queue_config
        assert queue is not None
        assert (queue.max_concurrent_runs, queue.tag_concurrency_limits) == (
            2,
            [{"key": "dagster/backfill", "limit": 1}],
        )
        settings = (dagster.run_monitoring_enabled, dagster.run_retries_enabled, dagster.run_retries_max_retries)
        assert settings == (True, True, 2)


def test_names_from_data_do_not_act_in_markdown() -> None:
    act = "<img src=x onerror=alert(1)> [a](javascript:1) `b` *c*\n# d"
    check = {"dt": day(1), "severity": "error", "expectation": act, "message": act}
    result = contract_result(StageReport("profiles", [], failed_checks=[check]), "contract")
    text = str(result.metadata["what"].value).removeprefix("- 2024-03-01 **error** ")
    assert re.findall(r"(?<!\\)[<\[`*]|\n", text) == []
