"""Feast: files that it wrote (feast/write_files.py) to rows of telemetry and result tables.

Not here: counting telemetry (test_profiling.py).
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from data import day
from hypothesis import strategies as st
from project import Project, break_pages
from typer.testing import CliRunner

from driftlake.cli import app
from driftlake.config import Settings
from driftlake.connect.day_files import Import
from driftlake.connect.feast_import import Given, import_logs
from driftlake.connect.feast_mapping import FeastMapping
from driftlake.connect.feast_proposal import propose
from driftlake.connect.mapping_files import read_mapping
from driftlake.errors import ConfigurationError, InputError

FOLDER = Path(__file__).parent.parent / "feast"
LOGS, PREDICTIONS = FOLDER / "logs", FOLDER / "predictions"
FEATURES = {"x": "customer_stats__x", "colour": "customer_stats__colour"}
KEYS = {"customer_id": "customer_id"}
JOINED = FeastMapping.model_validate({"features": FEATURES, "predictions": {"keys": KEYS}})
ALONE = FeastMapping.model_validate({"features": FEATURES, "constants": {"model_id": "credit", "model_version": "v2"}})
NOW = datetime(2024, 3, 5, tzinfo=UTC)
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def imported(
    root: Path,
    logs: Sequence[Path] = (LOGS,),
    predictions: Sequence[Path] = (),
    mapping: FeastMapping = ALONE,
    settings: Settings | None = None,
    **days: date,
) -> Import:
    return import_logs(Given(logs, predictions, **days), mapping, root / "telemetry", settings, now=NOW)


def rows_of(root: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(root / "telemetry" / "dt=2024-03-01" / "feast.parquet").to_pylist()
    return rows


def log_file(path: Path, *rows: dict[str, Any]) -> Path:
    """A log with one feature; `rows` replace the usual values."""
    usual = {"__request_id": "r", "__log_timestamp": NOON, "customer_id": 1, "v__x": 1.0, "v__x__status": 1}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([usual | row for row in rows]), path)
    return path


ONE_FEATURE = FeastMapping.model_validate(
    {"features": {"x": "v__x"}, "constants": {"model_id": "credit", "model_version": "v2"}}
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose version v2 was trained on the saved dataset of Feast, and whose telemetry are its logs, counted."""
    root = tmp_path_factory.mktemp("feast") / "project"
    project = Project(root, telemetry={"path": "telemetry", "segments": ["feature_status"]})
    shutil.copy(FOLDER / "saved" / "credit_training.parquet", root)
    saved = {"training_run_id": "run-2", "training_dataset_id": "credit_training", "score": None}
    project.register("v2", training_data="../credit_training.parquet", features=["x", "colour"], **saved)
    imported(root, [LOGS], [PREDICTIONS], JOINED)
    project.run(1, 1, until="drift")
    return project


def test_a_value_that_feast_did_not_find_is_counted_as_missing(project: Project) -> None:
    found = project.rows(
        "select feature, row_count, missing_count from feature_stats where dt = ? and segment = 'all' order by feature",
        day(1),
    )
    assert found == [("colour", 4, 2), ("x", 4, 1)]


def test_the_status_of_features_is_a_segment(project: Project) -> None:
    found = project.rows(
        "select segment, row_count from feature_stats where dt = ? and feature = 'x' and segment <> 'all' order by segment",
        day(1),
    )
    assert found == [("feature_status=not_found", 1), ("feature_status=null", 1), ("feature_status=value", 2)]


def test_a_saved_dataset_is_what_features_are_compared_with(project: Project) -> None:
    found = project.rows(
        "select distinct reference_count, current_count from feature_drift where dt = ? and feature = 'colour'"
        " and reference = 'training' and segment = 'all' and window_days = 1 and statistic = 'psi'",
        day(1),
    )
    assert found == [(300, 4)]


def test_statuses_are_reported_and_only_present_counts_as_a_value(tmp_path: Path) -> None:
    done = imported(tmp_path)
    assert {(row["x"], row["colour"], row["feature_status"]) for row in rows_of(tmp_path)} == {
        (0.25, "red", "value"),
        (-1.5, "blue", "value"),
        (2.0, None, "null"),
        (None, None, "too_old"),
        (None, None, "not_found"),
    }
    assert [remark.partition(": ")[2] for remark in done.remarks] == [
        "not_found: colour 1, x 1 of 5 predictions",
        "too_old: colour 1, x 1 of 5 predictions",
        "null: colour 1 of 5 predictions",
    ]


def test_a_null_with_the_status_of_a_value_is_a_null(tmp_path: Path) -> None:
    imported(tmp_path, [log_file(tmp_path / "a.parquet", {"v__x": None})], mapping=ONE_FEATURE)
    assert [row["feature_status"] for row in rows_of(tmp_path)] == ["null"]


def test_unmatched_predictions_and_log_rows_are_reported(tmp_path: Path) -> None:
    first, second = sorted(LOGS.iterdir())
    with_1001 = first if 1001 in pq.read_table(first)["customer_id"].to_pylist() else second
    done = imported(tmp_path, [with_1001], [PREDICTIONS], JOINED)
    assert [row["feature_status"] for row in rows_of(tmp_path)] == ["value", "value", "not_logged", "not_logged"]
    assert [remark.rpartition("parquet: ")[2] for remark in done.remarks] == ["not_logged: 2 of 4 predictions"]
    assert imported(tmp_path, [LOGS], [PREDICTIONS], JOINED).remarks[0] == (
        "1 row of the logs without a prediction not written"
    )


def test_without_its_keys_a_request_for_several_entities_is_a_problem(tmp_path: Path) -> None:
    mapping = FeastMapping.model_validate({"features": FEATURES, "predictions": {}})
    [joined] = imported(tmp_path, [LOGS], [PREDICTIONS], mapping).problems
    assert "2 predictions found several entities of one request, the first counts" in joined
    [alone] = imported(tmp_path / "alone").problems
    assert "1 id occurs in several rows" in alone


@pytest.fixture
def keyed(tmp_path: Path) -> tuple[Settings, bytes]:
    """Settings with a key of pseudonyms, and the key."""
    (tmp_path / "key").write_text("k" * 64)
    (tmp_path / "key").chmod(0o600)
    keys = [{"id": "k1", "file": str(tmp_path / "key"), "valid_from": date(2024, 1, 1)}]
    sections = {"telemetry": {"path": "t"}, "labels": {"path": "l"}, "lineage": {"path": "m"}, "start": day(1)}
    return Settings.model_validate(sections | {"pseudonyms": {"column": "user", "keys": keys}}), b"k" * 64


@pytest.mark.parametrize("predictions", [(), (PREDICTIONS,)])
def test_only_the_pseudonym_of_a_user_is_written(
    tmp_path: Path, keyed: tuple[Settings, bytes], predictions: Sequence[Path]
) -> None:
    settings, key = keyed
    mapping = (JOINED if predictions else ALONE).model_copy(update={"user_key": "customer_id"})
    imported(tmp_path, [LOGS], predictions, mapping, settings)
    rows = rows_of(tmp_path)
    assert rows[0]["user_key"] == hmac.new(key, b"1001", hashlib.sha256).hexdigest()
    assert {row["user_key_id"] for row in rows} == {"k1"}
    assert not any(value in {1001, "1001"} for row in rows for value in row.values())


def test_pseudonyms_without_a_key_of_the_day_are_refused(tmp_path: Path, keyed: tuple[Settings, bytes]) -> None:
    mapping = ALONE.model_copy(update={"user_key": "customer_id"})
    early = log_file(tmp_path / "a.parquet", {"__log_timestamp": datetime(2023, 3, 1, tzinfo=UTC)})
    mapping = mapping.model_copy(update={"features": {"x": "v__x"}})
    with pytest.raises(ConfigurationError, match="no key of pseudonyms.keys is valid on 2023-03-01"):
        imported(tmp_path, [early], mapping=mapping, settings=keyed[0])
    with pytest.raises(ConfigurationError, match="user_key needs the section pseudonyms"):
        imported(tmp_path, mapping=mapping)


def test_files_that_are_given_again_or_lie_in_folders_of_any_name_change_nothing(tmp_path: Path) -> None:
    imported(tmp_path, [LOGS], [PREDICTIONS], JOINED)
    written = tmp_path / "telemetry" / "dt=2024-03-01" / "feast.parquet"
    before = written.stat().st_ino
    for name, path in zip(("2024-03-01", "b"), sorted(LOGS.iterdir()), strict=True):
        (tmp_path / "logs" / name).mkdir(parents=True)
        shutil.copy(path, tmp_path / "logs" / name)
    [again] = imported(tmp_path, [tmp_path / "logs", LOGS, *LOGS.iterdir()], [PREDICTIONS], JOINED).days
    assert not again.is_changed
    assert written.stat().st_ino == before


def test_a_day_whose_other_files_are_not_given_is_not_overwritten(tmp_path: Path) -> None:
    imported(tmp_path)
    for log in LOGS.iterdir():
        done = imported(tmp_path, [log])
        assert "of it would be lost, because the given files do not have them" in done.problems[0]
    assert len(rows_of(tmp_path)) == 5


def test_only_the_wanted_days_are_written(tmp_path: Path) -> None:
    moments = [NOON + timedelta(days=number) for number in range(3)]
    log = log_file(tmp_path / "a.parquet", *({"__request_id": str(each), "__log_timestamp": each} for each in moments))
    done = imported(tmp_path, [log], mapping=ONE_FEATURE, first_day=day(2), last_day=day(2))
    assert [(each.path.parent.name, each.row_count) for each in done.days] == [("dt=2024-03-02", 1)]


def test_unusable_input_is_reported_by_file_and_the_rest_is_imported(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("request,x\n")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    log_file(tmp_path / "nested.parquet", {"v__x": [1.0]})
    log_file(tmp_path / "words.parquet", {"__log_timestamp": "noon"})
    log_file(
        tmp_path / "some.parquet",
        {"__request_id": "good"},
        {"__request_id": None},
        {"__request_id": "late", "__log_timestamp": NOW + timedelta(hours=1)},
        {"__request_id": "never", "__log_timestamp": None},
    )
    damaged = log_file(tmp_path / "damaged.parquet", *({"__request_id": str(number)} for number in range(2000)))
    break_pages(damaged)
    (tmp_path / "empty").mkdir()
    names = ("absent", "text", "other", "nested", "words", "some", "damaged")
    places = [*(tmp_path / f"{name}.parquet" for name in names), tmp_path / "empty"]
    done = imported(tmp_path, places, mapping=ONE_FEATURE)
    reported = {
        each.removeprefix(f"{tmp_path}/").partition(": ")[0]: each.partition(": ")[2] for each in done.problems[:6]
    }
    assert [row["correlation_id"] for row in rows_of(tmp_path)] == ["good"]
    assert {name: reported[name] for name in ("other.parquet", "nested.parquet", "words.parquet", "empty")} == {
        "other.parquet": "not imported: not a log of a Feast feature service: it has no column __request_id and __log_timestamp",
        "nested.parquet": "not imported: v__x is list<element: double>, expected single values",
        "words.parquet": "not imported: __log_timestamp is string, expected a timestamp",
        "empty": "not imported: it has no Parquet files",
    }
    assert "No such file" in reported["absent.parquet"]
    assert "cannot be read as Parquet" in reported["text.parquet"]
    assert "damaged.parquet: not imported: " in done.problems[6]
    assert [each.partition("some.parquet: ")[2] for each in done.problems[7:]] == [
        "1 refused: a row has no id of a request",
        "1 refused: a row has no time",
        "1 refused: a time is in the future; the clock of the writer is wrong",
    ]


def test_unusable_predictions_are_reported(tmp_path: Path) -> None:
    columns = {"correlation_id": ["a", "b"], "request_id": ["r", None], "event_time": [NOON, NOW + timedelta(days=1)]}
    pq.write_table(pa.table(columns), tmp_path / "late.parquet")
    pq.write_table(pa.table({"correlation_id": ["a"]}), tmp_path / "other.parquet")
    mapping = FeastMapping.model_validate({"features": {"x": "v__x"}, "predictions": {}})
    log = log_file(tmp_path / "log.parquet", {})
    done = imported(tmp_path, [log], [tmp_path / "late.parquet", tmp_path / "other.parquet"], mapping)
    assert [each.removeprefix(f"{tmp_path}/") for each in done.problems] == [
        "other.parquet: not imported: it has no column request_id; predictions of the mapping tells which it needs",
        "late.parquet: 1 refused: a time is in the future; the clock of the writer is wrong",
    ]
    assert [row["x"] for row in rows_of(tmp_path)] == [1.0]


LOGGED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([0, 1, 2, 3, 4])), max_size=8)
PREDICTED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8)


@hypothesis.settings(max_examples=15)
@hypothesis.given(logged=LOGGED, predicted=PREDICTED)
def test_a_prediction_has_the_features_of_its_request_and_entity(
    logged: list[tuple[int, int, int]], predicted: list[tuple[int, int]]
) -> None:
    served: dict[tuple[int, int], tuple[float, int]] = {}
    log = []
    for place, (request, key, status) in enumerate([*logged, (9, 9, 1)]):
        moment = NOON + timedelta(seconds=place)
        row = {"__request_id": str(request), "customer_id": key, "v__x": float(place), "v__x__status": status}
        log.append(row | {"__log_timestamp": moment})
        served.setdefault((request, key), (float(place), status))
    with TemporaryDirectory() as folder:
        root = Path(folder)
        log_file(root / "log.parquet", *log)
        columns = {
            "correlation_id": [f"{place:02}" for place in range(len(predicted))],
            "request_id": [str(request) for request, _ in predicted],
            # as text, which a service may log
            "customer": [str(key) for _, key in predicted],
            "event_time": [NOON] * len(predicted),
        }
        pq.write_table(pa.table(columns), root / "predictions.parquet")
        joined = {"features": {"x": "v__x"}, "predictions": {"keys": {"customer_id": "customer"}}}
        imported(root, [root / "log.parquet"], [root / "predictions.parquet"], FeastMapping.model_validate(joined))
        found = [(row["x"], row["feature_status"]) for row in rows_of(root)]
    names = {0: "unknown", 1: "value", 2: "null", 3: "not_found", 4: "too_old"}
    expected = [served.get(each) for each in predicted]
    assert found == [
        (None, "not_logged") if each is None else (each[0] if each[1] == 1 else None, names[each[1]])
        for each in expected
    ]


def test_the_proposal_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "feast.yaml"
    path.write_text(propose([LOGS], has_predictions=True))
    mapping = read_mapping(FeastMapping, path, command="feast")
    assert mapping.features == FEATURES
    assert mapping.predictions == JOINED.predictions
    assert "join keys and data of requests: customer_id." in path.read_text()


def test_a_proposal_keeps_the_view_in_names_that_are_taken(tmp_path: Path) -> None:
    names = ("v__x", "w__x", "v__score", "v__customer_id", "v__y")
    row: dict[str, Any] = dict.fromkeys(names, 1.0) | {f"{name}__status": 1 for name in names}
    proposal = yaml.safe_load(propose([log_file(tmp_path / "a.parquet", row)], has_predictions=False))
    assert proposal["features"] == {
        "v__customer_id": "v__customer_id",
        "v__score": "v__score",
        "v__x": "v__x",
        "y": "v__y",
        "w__x": "w__x",
    }
    assert proposal["constants"] == {"model_id": "FILL_IN", "model_version": "FILL_IN"}
    with pytest.raises(InputError, match="not a log of a Feast feature service"):
        propose([PREDICTIONS], has_predictions=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": {}}, "features: "),
        ({"constants": {"model_id": "credit"}}, "model_version must be in constants or columns"),
        ({"columns": {"X": "customer_id"}}, "the column x occurs twice|the column X occurs twice"),
        ({"columns": {"Event_Time": "customer_id"}}, "Event_Time is written by the import"),
        ({"columns": {"who": "customer_id"}, "user_key": "customer_id"}, "would also be written as it is"),
        ({"correlation_id": "customer_id", "user_key": "customer_id"}, "would also be written as it is"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "feast.yaml"
    path.write_text(yaml.safe_dump(ALONE.model_dump() | change))
    with pytest.raises(ConfigurationError, match=said):
        read_mapping(FeastMapping, path, command="feast")


def test_a_mapping_of_missing_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no feature customer_stats__y\nhint: they have customer_stats__colour, cust"):
        imported(tmp_path, mapping=ALONE.model_copy(update={"features": {"x": "customer_stats__y"}}))
    with pytest.raises(InputError, match="no column region\nhint: they have customer_id"):
        imported(tmp_path, mapping=ALONE.model_copy(update={"columns": {"region": "region"}}))
    with pytest.raises(InputError, match="the predictions have a column score, which the mapping also writes"):
        imported(
            tmp_path, [LOGS], [PREDICTIONS], JOINED.model_copy(update={"features": {"score": "customer_stats__x"}})
        )
    with pytest.raises(ConfigurationError, match="hint: give files with --predictions"):
        imported(tmp_path, mapping=JOINED)


def test_the_command_writes_days_and_says_what_was_refused(tmp_path: Path) -> None:
    mapping = tmp_path / "feast.yaml"
    mapping.write_text(yaml.safe_dump(JOINED.model_dump()))
    given = [str(LOGS), "--predictions", str(PREDICTIONS), "--mapping", str(mapping)]
    command = ["import", "feast", *given, "--out", str(tmp_path / "telemetry")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [f"{tmp_path}/telemetry/dt=2024-03-01/feast.parquet: 4 rows"]
    assert CliRunner().invoke(app, [*command, "--predictions", str(tmp_path / "absent.parquet")]).exit_code == 1


def test_the_documentation_shows_the_proposal_as_it_is() -> None:
    page = (FOLDER.parent.parent / "docs" / "connect" / "feast.md").read_text()
    assert f"```yml\n{propose([LOGS], has_predictions=True)}```" in page
