"""Spark counts what one machine counts, row for row, on a real cluster of two workers with a gigabyte each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus import COLUMNS, FILES, VALUES, Case, Corpus
from data import day, noon, write_day
from lakehouse_tables import delete_by_vector, write_delta
from project import Project
from written_files import WRITERS, assert_days_are_alike, project_of_writers, write_by_spark

from driftlake.config import SparkSettings, load_settings
from driftlake.engines import cluster
from driftlake.errors import EngineError
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.nightly.stages import LABEL_COHORTS, PROFILES
from driftlake.training.registration import register
from examples.nycflights.releases import FIRST_DAY

ROOT = Path(__file__).resolve().parents[2]

# Workers are processes of their own, so that one can be killed, and the Python of each gets little more than a gigabyte
# of addresses, of which no allocator may reserve what it does not use.
MEMORY_MB = 1200
# Days are small, so what makes large ones quick only makes these wait.
QUICK_START = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
}
CLUSTER = {
    "master": "local-cluster[2,1,1024]",
    "conf": {
        "spark.executor.memory": "512m",
        "spark.executor.pyspark.memory": f"{MEMORY_MB}m",
        "spark.executorEnv.ARROW_DEFAULT_MEMORY_POOL": "system",
        "spark.executorEnv.MALLOC_ARENA_MAX": "2",
        **QUICK_START,
    },
    "task_memory_limit": "256MB",
}


def lacking() -> str:
    """Why there can be no Spark here; empty if there can."""
    try:
        cluster.require(SparkSettings())
    except EngineError as error:
        return error.message
    return ""


pytestmark = [pytest.mark.spark, pytest.mark.skipif(bool(lacking()), reason=lacking())]


@pytest.fixture(scope="module", autouse=True)
def spark() -> Iterator[Any]:
    session = cluster.session(SparkSettings.model_validate(CLUSTER))
    yield session
    session.stop()


def on_spark(project: Project) -> None:
    project.configure(engine="spark", spark=CLUSTER)


# What the engines fill, and what is written beside it; all else is computed from these.
COUNTED = (*PROFILES.tables, *LABEL_COHORTS.tables, "contract_checks", "quarantine", "input_files", "schema_changes")


def compared(project: Project, first: int, last: int, *, is_checked: bool = False) -> dict[str, Any]:
    """Contents of the tables after both engines have counted; they must be the same."""
    runs = "select dt, stage, outcome, row_count, reason from current_runs order by all"
    project.run(first, last, until="label_cohorts", is_checked=is_checked)
    expected, ended = project.contents(*COUNTED), project.rows(runs)
    on_spark(project)
    project.run(first, last, until="label_cohorts", is_forced=True, is_checked=is_checked)
    assert_same(project.contents(*COUNTED), expected)
    assert project.rows(runs) == ended
    return expected


def assert_same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for name, rows in expected.items():
        # as text, in which nan is equal to itself and no digit is lost
        assert [*map(repr, found[name])] == [*map(repr, rows)], name


ROWS = 200
CONSTANT = {"model_id": "credit", "model_version": "v1", "colour": "red"}


def odd_predictions(number: int, *, version: str = "v1", **changes: Any) -> dict[str, Any]:
    """Every column that is counted, with values that are missing, infinite, no number, too large or SQL."""
    generator = np.random.default_rng([number, len(changes)])

    def numbers(*odd: Any) -> list[Any]:
        return [*odd, *generator.lognormal(size=ROWS - len(odd))]

    def texts(*names: Any) -> list[Any]:
        return generator.choice(np.array(names, object), ROWS).tolist()

    return {
        "correlation_id": [f"d{number}-{row}" for row in range(ROWS)],
        "model_version": [version] * ROWS,
        "score": [None, np.nan, np.inf, 1.7, -0.0, *generator.random(ROWS - 5)],
        "x": numbers(None, np.nan, np.inf, -np.inf, 1e300, 5e-324),
        "y": numbers(None),
        "colour": texts("red", "blue", "green", None, 'it\'s "x"; --\n'),
        "is_member": texts(True, False),
        "region": texts("north", "north", "south", "south", "east", "w=est", None),
        "merchant": texts(*(f"m{place}" for place in range(150)), None),
        "predicted_class": texts("a", "b", None),
        "latency_ms": numbers(None, -5.0, np.inf),
        "queue_ms": numbers(None),
        "success": texts(True, False, None),
        "error_kind": texts(*(f"error {place}" for place in range(30)), None),
        "node_id": texts("n1", "n1", "n2", "n2", "n3", "n4", None),
        "gpu_utilization": numbers(None, np.nan, np.inf),
        "shap_x": numbers(),
        "shap_colour": numbers(),
    } | changes


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three days of two versions in several files, with all that is counted of predictions."""
    generator = np.random.default_rng(3)
    project = Project(
        tmp_path_factory.mktemp("odd") / "project",
        training={"y": generator.lognormal(size=2000), "is_member": generator.random(2000) < 0.5},
        telemetry={
            "path": "telemetry",
            "segments": ["region", "is_member"],
            "segment_limit": 2,
            "latencies": ["queue_ms"],
            "shap": {"prefix": "shap_"},
            "high_cardinality": ["merchant"],
            "class_scores": {"prefix": "p_"},
            "offline": {"path": "offline"},
        },
        models={"credit": {"pairs": [["x", "colour"]], "sampling_rate": 0.9, "decision_cut": 0.5}},
        drift={"multivariate": {"sample_rows": 50}, "windows_days": [1]},
    )
    project.register("v2")
    project.register("v3", task="multiclass", classes=["a", "b"])
    for number in (1, 2, 3):
        predictions = odd_predictions(number)
        scores = {name: [None, np.nan, np.inf, 1.7, -0.0, *generator.random(ROWS - 5)] for name in ("p_a", "p_b")}
        project.telemetry(number, name="classes", **odd_predictions(number, version="v3", **scores))
        project.telemetry(number, **predictions)
        offline = {name: predictions[name][::-1] for name in ("correlation_id", "x", "y", "colour")}
        write_day(project.root / "offline", number, pa.table(offline))
        project.telemetry(number, name="again", **{name: values[:50] for name, values in predictions.items()})
        project.telemetry(number, name="shadow", **odd_predictions(number, version="v2", deployment=["shadow"] * ROWS))
        project.telemetry(number, name="unknown", **odd_predictions(number, version="v9"))
        project.labels(number, correlation_id=[f"d{number}-{row}" for row in range(300)])
    # files of a day that disagree: a feature is gone, or of another type; ids and nodes are numbers; rows are broken
    other = {"deployment": ["canary"] * ROWS, "correlation_id": list(range(ROWS))}
    project.telemetry(2, name="lacks", **odd_predictions(2, version="v2", **other, y=None))
    project.telemetry(
        3, name="retyped", **odd_predictions(3, version="v2", **other, x=["a"] * ROWS, node_id=[1.0] * ROWS)
    )
    project.telemetry(
        3, name="broken", **odd_predictions(3, correlation_id=[None] * 5 + [f"b{i}" for i in range(ROWS - 5)])
    )
    return project


def test_odd_predictions_are_counted_to_the_last_digit(odd: Project) -> None:
    rows = compared(odd, 1, 3, is_checked=True)
    silent = {name for name in PROFILES.tables if not rows[name]}
    assert silent == set()
    assert {reason for (reason,) in odd.rows("select distinct expectation from quarantine")} != set()


def odd_labels(project: Project, days: int) -> None:
    """Predictions of four versions and tasks, and labels early and late, twice and contrary, of nobody and nothing."""
    generator = np.random.default_rng(11)
    project.register("v2")
    project.register("v3", task="multiclass", classes=["car", "bus"])
    project.register("v4", task="regression", score_kind="value")
    ids = [f"p{place}" for place in range(120)]
    for number in range(1, days + 1):
        for version, deployment in (("v1", "production"), ("v2", "shadow"), ("v3", "production"), ("v4", "production")):
            answered = generator.choice(ids, 100).tolist()
            project.telemetry(
                number,
                name=version,
                correlation_id=answered,
                model_version=[version] * 100,
                deployment=[deployment] * 100,
                score=[None, np.nan, 1.7, *generator.random(97)],
                predicted_class=generator.choice(["car", "bus"], 100).tolist(),
                p_car=generator.random(100),
                p_bus=[None, *generator.random(99)],
                region=generator.choice(["north", "south", "east"], 100).tolist(),
            )
        said = np.array(["1", "0", "1", "0", "car", "bus", "7.5", "nan", None], object)
        project.labels(
            number,
            correlation_id=[None, None, *generator.choice([*ids, "nobody"], 148).tolist()],
            label=generator.choice(said, 150).tolist(),
            label_time=[noon(number)] * 150,
            prediction_on=pa.array([day(n) if n else None for n in generator.integers(0, days + 1, 150).tolist()]),
        )


@pytest.mark.parametrize("corrections", ["first", "latest"])
def test_odd_labels_meet_the_same_predictions(tmp_path: Path, corrections: str) -> None:
    project = Project(
        tmp_path / "project",
        telemetry={"path": "telemetry", "segments": ["region"], "segment_limit": 2, "class_scores": {"prefix": "p_"}},
        labels={"path": "labels", "horizon_days": 3, "corrections": corrections},
        models={"credit": {"sampling_rate": 0.8}},
    )
    odd_labels(project, days=4)
    # a file without rows
    empty = project.labels(5)
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    project.run(1, 4, until="profiles")
    project.run(3, 5, until="label_cohorts", is_checked=True)
    expected = project.contents(*LABEL_COHORTS.tables)
    project.configure(engine="spark", spark=CLUSTER | {"rows_per_task": 500})
    project.run(3, 5, until="label_cohorts", is_forced=True, is_checked=True)
    assert_same(project.contents(*LABEL_COHORTS.tables), expected)
    assert {name for name, rows in expected.items() if not rows} == set()


def test_named_labels_and_features_in_json_are_counted_alike(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    project = Project(
        tmp_path / "project",
        training={"target": generator.choice(["good", "bad"], 2000)},
        lineage={"target": "target", "features": ["x", "colour"]},
        telemetry={"path": "telemetry", "features_column": "features"},
        labels={"path": "labels", "positive": "bad"},
    )
    features = [json.dumps({"x": x, "colour": "red"} if x > -1 else {}) for x in generator.normal(size=300).tolist()]
    project.telemetry(1, x=None, colour=None, features=features)
    project.labels(2, 1, label=generator.choice(["good", "bad", "open"], 300))
    expected = compared(project, 1, 2)
    assert sum(row[-1] for row in project.rows("select sum(positive_count + negative_count) from label_cohorts")) > 100
    assert expected["feature_profile"]


def test_files_of_all_writers_and_of_spark_itself_are_counted_alike(spark: Any, tmp_path: Path) -> None:
    project = project_of_writers(tmp_path / "project")
    written = 2 + len(WRITERS)
    write_by_spark(spark, project.root, written)
    expected = compared(project, 1, written + 1)
    assert_days_are_alike(project, 1, written)
    assert expected["class_cohorts"]


def is_of_telemetry(case: Case) -> bool:
    """Whether a case is a day of its own, written like any other."""
    return not case.project and case.name not in {"no_telemetry", "odd_folder"}


def test_every_broken_day_of_the_corpus_ends_alike(tmp_path: Path) -> None:
    cases = [case for case in (*FILES, *COLUMNS, *VALUES) if is_of_telemetry(case)]
    project = Corpus(tmp_path / "project")
    for number, case in enumerate(cases, start=1):
        project.add(case, number)
    compared(project, 1, len(cases), is_checked=True)


class Flights(Project):
    """The flights example as a project: `day_count` days from its first, all flights of them."""

    def __init__(self, root: Path, day_count: int) -> None:
        self.root = root
        self.first = (FIRST_DAY - day(1)).days + 1
        self.last = self.first + day_count - 1
        # a process of its own, because scikit-learn and its threads are nothing the rest of the suite should inherit
        build = [sys.executable, "-m", "examples.nycflights.build", "--out", str(root / "data")]
        subprocess.run([*build, "--to", str(day(self.last))], cwd=ROOT, check=True, capture_output=True)
        (root / "driftlake.yaml").write_text(
            "telemetry: {path: data/telemetry}\nlabels: {path: data/labels}\nlineage: {path: data/lineage}\n"
            f"start: {FIRST_DAY}\nend: {day(self.last)}\nschedule: {{hour: 2, timezone: America/New_York}}\n"
        )
        self.settings = load_settings(root / "driftlake.yaml")
        with Warehouse.open(self.settings) as warehouse:
            register(warehouse, self.settings, read_lineage_folder(self.settings))


def test_flights_are_counted_to_the_last_digit(tmp_path: Path) -> None:
    flights = Flights(tmp_path, day_count=3)
    rows = compared(flights, flights.first, flights.last)
    assert len({row[0] for row in rows["feature_profile"]}) == 3
    assert rows["label_cohorts"]


def kill_an_executor(session: Any, killed: list[int]) -> None:
    """Kill the Java of an executor while a task of the third job from now on runs."""
    application = session.sparkContext.applicationId
    tracker = session.sparkContext.statusTracker()
    first = max(tracker.getJobIdsForGroup(), default=-1) + 3
    while not any(job >= first for job in tracker.getActiveJobsIds()):
        time.sleep(0.01)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_text()
            if "CoarseGrainedExecutorBackend" in command and application in command:
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(int(process.name))
                return


def test_a_killed_executor_changes_nothing(tmp_path: Path, spark: Any) -> None:
    project = Project(tmp_path / "project")
    for name in ("a", "b", "c"):
        project.telemetry(1, name=name, correlation_id=[f"{name}{row % 250}" for row in range(300)])
    project.run(1, 1, until="profiles")
    expected = project.contents(*PROFILES.tables)
    on_spark(project)
    killed: list[int] = []
    killer = threading.Thread(target=kill_an_executor, args=(spark, killed), daemon=True)
    killer.start()
    project.run(1, 1, until="profiles", is_forced=True)
    killer.join(timeout=10)
    assert len(killed) == 1
    assert_same(project.contents(*PROFILES.tables), expected)


def test_a_file_larger_than_the_memory_of_a_worker_is_counted(tmp_path: Path) -> None:
    """A day of one file with more numbers than fit into the memory of a worker's Python."""
    width, rows, rows_per_group = 100, 1_600_000, 100_000
    generator = np.random.default_rng(5)
    names = [f"n{place}" for place in range(width)]
    values = generator.normal(size=16)
    project = Project(tmp_path / "project", training=dict.fromkeys(names, generator.choice(values, 500)))
    path = project.telemetry(1, correlation_id=["x"], **{name: [0.0] for name in names})
    schema = pq.read_schema(path)
    same = {
        name: pa.DictionaryArray.from_arrays(generator.integers(0, 16, rows_per_group, np.int8), values).cast(
            pa.float64()
        )
        for name in (*names, "x", "score")
    }
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, rows_per_group):
            columns = {
                "correlation_id": pa.array([f"{row}" for row in range(first, first + rows_per_group)]),
                "event_time": pa.repeat(pa.scalar(noon(1), schema.field("event_time").type), rows_per_group),
                **{name: pa.repeat(name_of, rows_per_group) for name, name_of in CONSTANT.items()},
                **same,
            }
            writer.write_table(pa.table([columns[name] for name in schema.names], schema))
    assert 8 * width * pq.read_metadata(path).num_rows > MEMORY_MB * 2**20
    on_spark(project)
    project.run(1, 1, until="profiles")
    assert project.rows("select distinct row_count from feature_stats") == [(rows,)]


def test_deleted_rows_and_values_in_the_names_of_folders_count_alike(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", telemetry={"path": "telemetry", "segments": ["colour"]})
    rows = pq.read_table(project.telemetry(1), partitioning=None)
    project.configure(telemetry={"path": "table", "segments": ["colour"]})
    delta = project.root / "table"
    write_delta(delta, [rows.append_column("dt", pa.array([day(1)] * len(rows), pa.date32()))], ["dt", "colour"])
    [red] = (delta / f"dt={day(1)}" / "colour=red").glob("*.parquet")
    delete_by_vector(delta, str(red.relative_to(delta)), [0, 3, 7])
    project.labels(1)
    compared(project, 1, 1)
    assert project.rows("select row_count from current_runs where stage = 'profiles'") == [(297,)]
