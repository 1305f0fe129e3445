"""Prometheus gets the values of stored rows, under the names that the shipped rules and the dashboard use."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import dagster as dg
import pytest
import yaml
from data import GROUP, MODEL, Row, day, insert, write_project
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from assets.delivery import delivery
from driftlake.cli import app
from driftlake.config import Settings
from driftlake.delivery.metrics import DAY_METRICS, FEATURE_LIMIT, RUN_METRICS
from driftlake.delivery.prometheus import open_metrics, write_metrics
from driftlake.errors import ConfigurationError
from driftlake.lake.warehouse import Warehouse

SHIPPED = Path(__file__).resolve().parents[2] / "examples" / "prometheus"
NOW = datetime(2024, 3, 4, 3, tzinfo=UTC)
REMOTE_WRITE = SHIPPED / "remote_write.py"
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool to check with")

VERSION = {name: value for name, value in GROUP.items() if name != "segment"}
PSI = {"window_days": 7, "reference": "training", "statistic": "psi", "current_count": 9, "current_day_count": 7} | {
    "reference_count": 9
}
BACKLOG = GROUP | {"age_from_days": 0, "prediction_count": 90, "labelled_count": 80, "growth_count": 1}
INCIDENT = {"opened_on": day(1), "since_on": day(1), "alert_count": 1, "model_versions": [], "cause": "unknown"} | {
    "title": "t",
    "evidence": [],
    "rule": "r",
}
ALERT = {"signal": "feature_drift.psi", "value": 1, "threshold": 1, "sample_count": 1, "since_on": day(1)} | {
    "consecutive_days": 1,
    "message": "x",
    "rule": "drift",
    "severity": "critical",
}
RUN = {"run_id": "r", "row_count": 1, "code_version": "1", "config_hash": "c", "snapshot_id": 1} | {
    "started_at": NOW,
    "committed_at": NOW,
}


def rows_of_a_day(number: int) -> dict[str, list[Row]]:
    """Rows of each table for a day on which feature x2 drifts and the version is harmed."""
    budget = {"objective": 0.9, "period_days": 28, "good_count": 9, "total_count": 9, "state": "ok"}
    events = {"period_good_count": 9, "period_total_count": 9, "burn_rate_1d": 2.0, "burn_rate_28d": 0.5}
    counted = {"window_days": 28, "day_count": 9, "labelled_day_count": 9, "label_count": 9}
    tested = {"value": 0.7, "confidence_low": 0.6, "confidence_high": 0.8, "baseline_value": 0.9, "tolerance": 0.02}
    rows: dict[str, list[Row]] = {
        "model_verdicts": [VERSION | {"verdict": "harmed", "sentence": "s"}],
        "performance": [
            VERSION | counted | tested | {"statistic": "auc", "basis": "combined", "loss_evidence": 1.5},
            VERSION | counted | tested | {"statistic": "auc", "basis": "realised"},
            VERSION | counted | {"statistic": "accuracy", "basis": "combined"},
        ],
        "feature_drift": [
            GROUP | PSI | {"feature": "x1", "value": 0.01, "outcome": "stable"},
            GROUP | PSI | {"feature": "x2", "value": 0.5, "outcome": "drift"},
            GROUP | PSI | {"feature": "x3", "value": 9.0, "outcome": "insufficient_data"},
            GROUP | PSI | {"feature": "x4", "value": 8.0, "outcome": "drift", "segment": "country=AT"},
            GROUP | PSI | {"feature": "x5", "value": 7.0, "outcome": "drift", "window_days": 28},
            GROUP | PSI | {"feature": "x6", "value": 6.0, "outcome": "drift", "reference": "preceding"},
        ],
        "prediction_drift": [GROUP | PSI | {"value": 0.03, "outcome": "stable"}],
        "label_backlog": [
            BACKLOG | {"age_bucket": "0", "outstanding_count": 5},
            BACKLOG | {"age_bucket": "all", "outstanding_count": 10, "overdue_share": 0.25, "noise_share": 0.05},
            # a version that no longer predicts
            BACKLOG | {"age_bucket": "all", "outstanding_count": 10, "model_version": "v0"},
        ],
        "slo_status": [budget | events | MODEL | {"slo": "up", "sli": "availability", "budget_remaining": 0.4}],
        "sampling_rates": [VERSION | {"sampling_rate": 0.1, "prediction_count": 90, "sampled_count": 9}],
        "incidents": [
            INCIDENT | {"incident_id": "a", "state": "open", "severity": "critical", "kind": "harm", "pages": True},
            INCIDENT | {"incident_id": "b", "state": "resolved", "severity": "critical", "kind": "harm", "pages": True},
        ],
        "alerts": [ALERT | MODEL | {"state": "open"}, ALERT | MODEL | {"rule": "over", "state": "resolved"}],
        "partition_runs": [
            RUN | {"stage": "profiles", "outcome": "partial"},
            RUN | {"stage": "alerts", "outcome": "complete"},
        ],
    }
    return {table: [{"dt": day(number)} | row for row in of_table] for table, of_table in rows.items()}


@pytest.fixture
def filled(memory: Warehouse) -> Warehouse:
    """A warehouse with the rows of two days."""
    for number in (2, 3):
        fill(memory, rows_of_a_day(number))
    return memory


def fill(warehouse: Warehouse, rows: dict[str, list[Row]]) -> None:
    for table, of_table in rows.items():
        # tables that are about all versions of a model have no column for one
        columns = {row[0] for row in warehouse.connection.execute(f"describe {table}").fetchall()}
        insert(warehouse.connection, table, ({name: row[name] for name in row if name in columns} for row in of_table))


def written(warehouse: Warehouse, path: Path, number: int = 3) -> str:
    write_metrics(warehouse, path, day(number), window_days=7, undelivered_count=2, now=NOW)
    return path.read_text()


def samples(families: Iterable[Any]) -> dict[str, dict[tuple[str, ...], float]]:
    """By name of the metric without its prefix, values by the values of its labels in the order of their names."""
    return {
        family.name.removeprefix("driftlake_"): {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in family.samples
        }
        for family in families
    }


def test_the_file_has_the_values_of_the_newest_day(filled: Warehouse, tmp_path: Path) -> None:
    found = samples(text_string_to_metric_families(written(filled, tmp_path / "metrics" / "driftlake.prom")))
    version = ("production", "credit", "v1")
    objective = ("credit", "availability", "up")
    assert found == {
        "last_run_timestamp_seconds": {(): NOW.timestamp()},
        "newest_day_timestamp_seconds": {(): datetime.combine(day(3), time(), UTC).timestamp()},
        "undelivered_notices": {(): 2},
        "model_verdict": {(*version, "harmed"): 1},
        "open_incidents": {("harm", "", "true", "critical"): 1},
        "alerts": {("credit", "drift", "critical"): 1},
        "partition_is_complete": {("profiles",): 0, ("alerts",): 1},
        "predictions": {version: 90},
        "performance": {(*version, "auc"): 0.7},
        "performance_confidence_low": {(*version, "auc"): 0.6},
        "performance_confidence_high": {(*version, "auc"): 0.8},
        "performance_baseline": {(*version, "auc"): 0.9},
        "performance_tolerance": {(*version, "auc"): 0.02},
        "performance_loss_evidence": {(*version, "auc"): 1.5},
        "feature_drift_psi_max": {version: 0.5},
        "features_drifting": {version: 1},
        "feature_drift_psi": {("production", "x2", "credit", "v1"): 0.5},
        "score_drift_psi": {version: 0.03},
        "labels_outstanding": {version: 10},
        "labels_overdue_ratio": {version: 0.25},
        "labels_overdue_noise_ratio": {version: 0.05},
        "slo_objective_ratio": {objective: 0.9},
        "slo_error_budget_remaining_ratio": {objective: 0.4},
        "slo_burn_rate": {(*objective, "1d"): 2.0, (*objective, "28d"): 0.5},
    }


def test_a_run_writes_the_configured_file(filled: Warehouse, tmp_path: Path) -> None:
    section = {"delivery": {"prometheus_file": str(tmp_path / "driftlake.prom")}, "drift": {"windows_days": [1, 7, 28]}}
    places = {"telemetry": {"path": "t"}, "lineage": {"path": "l"}, "start": day(1)}
    before = datetime.now(UTC).timestamp()
    delivery(dg.build_asset_context(), filled, Settings.model_validate(places | section))
    found = samples(text_string_to_metric_families((tmp_path / "driftlake.prom").read_text()))
    assert found["last_run_timestamp_seconds"].pop(()) >= before
    expected = samples(text_string_to_metric_families(written(filled, tmp_path / "expected.prom")))
    assert found == expected | {"last_run_timestamp_seconds": {}, "undelivered_notices": {(): 0}}


def test_the_features_that_drift_most_have_a_series_and_all_are_counted(memory: Warehouse, tmp_path: Path) -> None:
    drifting = GROUP | PSI | {"dt": day(3), "outcome": "drift"}
    rows = [drifting | {"feature": f"x{number}", "value": float(number)} for number in range(1, FEATURE_LIMIT + 6)]
    insert(memory.connection, "feature_drift", rows)
    found = samples(text_string_to_metric_families(written(memory, tmp_path / "driftlake.prom")))
    assert sorted(found["feature_drift_psi"].values()) == list(range(6, FEATURE_LIMIT + 6))
    assert list(found["features_drifting"].values()) == [FEATURE_LIMIT + 5]


def test_incidents_stay_open_if_the_rules_of_the_newest_day_could_not_be_evaluated(
    filled: Warehouse, tmp_path: Path
) -> None:
    runs = [RUN | {"stage": "profiles", "outcome": "complete"}, RUN | {"stage": "alerts", "outcome": "failed"}]
    insert(filled.connection, "partition_runs", [{"dt": day(4)} | run for run in runs])
    found = samples(text_string_to_metric_families(written(filled, tmp_path / "driftlake.prom", 4)))
    assert found["open_incidents"] == {("harm", "", "true", "critical"): 1}


def test_a_past_day_has_the_samples_of_its_file_stamped_with_its_end(filled: Warehouse, tmp_path: Path) -> None:
    text = "".join(open_metrics(filled, day(2), day(3), window_days=7))
    families = list(open_metrics_families(text))
    of_file = samples(text_string_to_metric_families(written(filled, tmp_path / "driftlake.prom")))
    assert samples(families) == {name: of_file[name] for name in (metric.name for metric in DAY_METRICS)}
    ends = [datetime.combine(day(number), time(), UTC).timestamp() for number in (3, 4)]
    assert {
        tuple(float(sample.timestamp) for sample in family.samples if sample.labels == family.samples[0].labels)
        for family in families
    } == {tuple(ends)}


def test_days_that_were_not_processed_have_no_past(filled: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="no day from 2024-03-09 to 2024-03-10 has been processed"):
        list(open_metrics(filled, day(9), day(10), window_days=7))


def test_the_command_writes_a_file_only_if_there_is_something_to_write(tmp_path: Path) -> None:
    settings = write_project(tmp_path / "project", features=["x"], training={"x": [0.0, 1.0], "score": [0.1, 0.9]})
    with Warehouse.open(settings) as warehouse:
        fill(warehouse, rows_of_a_day(3))
        expected = "".join(open_metrics(warehouse, day(3), day(3), window_days=7))
    out, config = tmp_path / "history.om", ["--config", str(tmp_path / "project" / "driftlake.yaml")]
    asked = ["metrics", "--from", "2024-03-01", "--to", "2024-03-03", *config]
    assert CliRunner().invoke(app, asked, catch_exceptions=False).stdout == expected
    CliRunner().invoke(app, [*asked, "--out", str(out)], catch_exceptions=False)
    assert out.read_text() == expected
    refused = CliRunner().invoke(
        app, ["metrics", "--from", "2023-01-01", "--to", "2023-01-02", "--out", f"{out}2", *config]
    )
    assert isinstance(refused.exception, ConfigurationError)
    assert list(tmp_path.glob("*.om*")) == [out]


# --- the shipped rules and dashboard ---


def rule_groups() -> list[Any]:
    return [
        group
        for name in ("alerts", "recording")
        for group in yaml.safe_load((SHIPPED / f"{name}.yml").read_text())["groups"]
    ]


def panel_expressions() -> list[str]:
    panels = json.loads((SHIPPED / "dashboard.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_rules_and_dashboard_use_metrics_that_are_written_and_labels_that_they_have() -> None:
    labels: dict[str, set[str]] = {metric.full_name: set() for metric in RUN_METRICS}
    labels |= {metric.full_name: set(metric.labels) for metric in DAY_METRICS}
    expressions = panel_expressions() + [rule["expr"] for group in rule_groups() for rule in group["rules"]]
    for expression in expressions:
        used = re.findall(r"\b(driftlake_\w+)(?:\{([^}]*)\})?", expression)
        assert used
        for name, matchers in used:
            assert set(re.findall(r"(\w+)=", matchers)) <= labels[name], expression


def promtool(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["promtool", *arguments], input=given, cwd=SHIPPED, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_promtool_finds_nothing_to_say_of_the_file(filled: Warehouse, tmp_path: Path) -> None:
    assert not promtool("check", "metrics", given=written(filled, tmp_path / "driftlake.prom"))


@needs_promtool
def test_promtool_makes_blocks_of_past_days(filled: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "history.om").write_text("".join(open_metrics(filled, day(2), day(3), window_days=7)))
    promtool("tsdb", "create-blocks-from", "openmetrics", str(tmp_path / "history.om"), str(tmp_path / "blocks"))
    stored = [json.loads(path.read_text())["stats"]["numSamples"] for path in (tmp_path / "blocks").glob("*/meta.json")]
    of_day = sum(
        len(family.samples)
        for family in open_metrics_families("".join(open_metrics(filled, day(3), day(3), window_days=7)))
    )
    assert stored == [of_day, of_day]


@needs_promtool
def test_the_shipped_rules_fire_as_their_tests_say() -> None:
    promtool("test", "rules", "tests.yml")


@needs_promtool
def test_the_expressions_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    filled_in = [re.sub(r"\$\w+", "credit", expression) for expression in panel_expressions()]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(filled_in)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "panels.yml"))


# --- the program that sends by remote write ---


class Sent:
    """Stands for the client, whose protobuf is older than that of this environment: it keeps what it is told to send."""

    batches: ClassVar[list[MetricsData]] = []
    result = MetricExportResult.SUCCESS

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def export(self, batch: MetricsData) -> MetricExportResult:
        self.batches.append(batch)
        return self.result


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], int]:
    """Runs remote_write.py for a file."""
    client = "opentelemetry.exporter.prometheus_remote_write"
    monkeypatch.setitem(sys.modules, client, SimpleNamespace(PrometheusRemoteWriteMetricsExporter=Sent))
    monkeypatch.setattr(Sent, "batches", [])

    def run(path: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["remote_write.py", str(path), "http://localhost/api/v1/write"])
        return int(runpy.run_path(str(REMOTE_WRITE))["main"]())

    return run


def sent() -> list[tuple[str, Mapping[str, str], float, float]]:
    """Names, labels, values and seconds of what was sent."""
    metrics = [metric for batch in Sent.batches for metric in batch.resource_metrics[0].scope_metrics[0].metrics]
    return [
        (metric.name, point.attributes, point.value, point.time_unix_nano / 1e9)
        for metric in metrics
        for point in metric.data.data_points
    ]


def test_remote_write_sends_every_sample_of_the_file_as_of_now(
    send: Callable[[Path], int], filled: Warehouse, tmp_path: Path
) -> None:
    before = datetime.now(UTC).timestamp()
    families = list(text_string_to_metric_families(written(filled, tmp_path / "driftlake.prom")))
    assert send(tmp_path / "driftlake.prom") == 0
    expected = [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]
    assert [(name, labels, value) for name, labels, value, _ in sent()] == expected
    assert {name for name, *_ in sent()} == {metric.full_name for metric in (*RUN_METRICS, *DAY_METRICS)}
    assert all(before <= time <= datetime.now(UTC).timestamp() for *_, time in sent())


def test_remote_write_sends_past_days_with_their_times(
    send: Callable[[Path], int], filled: Warehouse, tmp_path: Path
) -> None:
    text = "".join(open_metrics(filled, day(2), day(3), window_days=7))
    (tmp_path / "history.om").write_text(text)
    assert send(tmp_path / "history.om") == 0
    samples = [sample for family in open_metrics_families(text) for sample in family.samples]
    assert sent() == [(each.name, each.labels, each.value, float(each.timestamp)) for each in samples]


def test_remote_write_tells_a_refusal_by_its_exit_code(
    send: Callable[[Path], int], filled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(filled, tmp_path / "driftlake.prom")
    monkeypatch.setattr(Sent, "result", MetricExportResult.FAILURE)
    assert send(tmp_path / "driftlake.prom") == 1


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus that receives by remote write."""
    (tmp_path / "prometheus.yml").touch()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", "--web.enable-remote-write-receiver", f"--web.listen-address={address}"]
    command += [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert any("Server is ready to receive web requests" in line for line in process.stderr)
        yield f"http://{address}"
        process.terminate()


@pytest.mark.services
@pytest.mark.skipif(
    not os.environ.get("DRIFTLAKE_REMOTE_WRITE_PYTHON") or not shutil.which("prometheus"),
    reason="no environment of remote_write.py ($DRIFTLAKE_REMOTE_WRITE_PYTHON), or no prometheus to send to",
)
def test_prometheus_has_what_remote_write_sent(prometheus: str, filled: Warehouse, tmp_path: Path) -> None:
    text = written(filled, tmp_path / "driftlake.prom")
    command = [os.environ["DRIFTLAKE_REMOTE_WRITE_PYTHON"], str(REMOTE_WRITE), str(tmp_path / "driftlake.prom")]
    subprocess.run([*command, f"{prometheus}/api/v1/write"], check=True, env={}, capture_output=True)
    query = urllib.parse.quote('{__name__=~"driftlake_.+"}')
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?query={query}") as response:
        found = json.load(response)["data"]["result"]
    stored = {(frozenset(each["metric"].items()), float(each["value"][1])) for each in found}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    # a label without a value is none for Prometheus
    labels = [
        {"__name__": each.name} | {name: value for name, value in each.labels.items() if value} for each in samples
    ]
    expected = {(frozenset(of_one.items()), each.value) for of_one, each in zip(labels, samples, strict=True)}
    assert stored == expected
