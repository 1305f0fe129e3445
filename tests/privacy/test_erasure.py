"""`driftlake erase` removes a person or a prediction from tables, pages, snapshots and files, and keeps the warehouse sound."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import pytest
from data import day
from offline_values import offline, served
from project import ROWS, Project, kept, restored
from typer.testing import CliRunner

from driftlake.cli import app
from driftlake.lake import schema
from driftlake.lake.verification import verify
from driftlake.lake.warehouse import Warehouse
from driftlake.privacy.erasure import COLUMNS, searched_columns

KEY = "k" * 32
USER = "u-1734"
PSEUDONYM = hmac.new(KEY.encode(), USER.encode(), hashlib.sha256).hexdigest()
# A prediction that is in the sample and is an example of skew.
PREDICTION = "d2-17-prediction"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "personal-data.md"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two days.

    A user id is a frequent value and a segment and occurs in a message, next to a user with a longer id.
    """
    project = Project(
        tmp_path_factory.mktemp("erasure") / "project",
        telemetry={
            "path": "telemetry",
            "segments": ["customer"],
            "high_cardinality": ["user_key"],
            "offline": {"path": "offline"},
        },
        drift={"multivariate": {"sample_rows": ROWS}},
        pseudonyms={
            "column": "user_id",
            "keys": [
                {"id": "k2", "env": "ERASURE_KEY", "valid_from": "2024-01-01"},
                {"id": "k1", "env": "ERASURE_KEY_THAT_IS_DESTROYED", "valid_from": "2023-01-01"},
            ],
        },
    )
    for number in (1, 2):
        ids = [f"d{number}-{row}-prediction" for row in range(ROWS)]
        users = [PSEUDONYM] * 30 + ["another"] * (ROWS - 30)
        project.telemetry(number, correlation_id=ids, user_key=users, customer=[USER, "x", "y"] * (ROWS // 3))
        x = served(project, number)["x"].to_numpy().copy()
        x[17] += 1
        offline(project, number, x=x)
    project.run(1, 2)
    # the last two are other users
    said = f"seen: {USER}, {USER}; {USER}-2, not {USER}9"
    with Warehouse.open(project.settings) as warehouse:
        action = "insert into alert_actions select now(), 'mute', 'rule', 'drift', ?::date, ?::date, ?, 'ann'"
        warehouse.connection.execute(action, [day(1), day(2), said])
    for name, text in (("a.html", f"<td>{PSEUDONYM}</td>"), ("b.html", f"<td>{PREDICTION}0</td>")):
        page = Path(project.settings.resolve(project.settings.reports.path)) / name
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)
    return kept(project)


@pytest.fixture
def project(pristine: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("ERASURE_KEY", KEY)
    return restored(pristine)


def erased(project: Project, *options: str) -> str:
    result = CliRunner().invoke(app, ["erase", *options, "--config", str(project.root / "driftlake.yaml")])
    assert result.exit_code == 0, result.output
    return result.output


def stored(project: Project, *ids: str) -> list[str]:
    """Tables that contain an id in any column."""
    whole = re.compile(rf"(?<![0-9A-Za-z_-])(?:{'|'.join(ids)})(?![0-9A-Za-z_-])")
    return [table for table, rows in project.contents().items() if whole.search(repr(rows))]


def test_a_user_is_erased_and_the_warehouse_stays_sound(project: Project) -> None:
    before = project.contents()
    planned = erased(project, "--user-key", USER, "--dry-run")
    assert project.contents() == before
    assert {"heavy_hitters", "feature_profile", "alert_actions"} <= set(stored(project, USER, PSEUDONYM))
    done = erased(project, "--user-key", USER, "--by", "ann")
    assert done == planned
    assert re.search(r"heavy_hitters +\d+ rows deleted \(segment, value\)", done)
    assert re.search(r"reports +1 page removed", done)
    assert "ERASURE_KEY_THAT_IS_DESTROYED" in done
    assert stored(project, USER, PSEUDONYM) == []
    assert project.rows("select reason from alert_actions") == [(f"seen: (erased), (erased); {USER}-2, not {USER}9",)]
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        assert verify(warehouse) == []
    assert all({*report.unchanged} == {run.dt for run in report.runs} for report in project.run(1, 2))
    [(who, subject, subject_hash, key)] = project.rows("select erased_by, subject, subject_hash, key_id from erasures")
    assert (who, subject, subject_hash, key) == (
        "ann",
        "user_key",
        hashlib.sha256(PSEUDONYM.encode()).hexdigest(),
        "k2",
    )


def test_a_prediction_is_taken_out_of_samples_and_examples_and_its_day_is_left_alone(project: Project) -> None:
    of_day = "where dt = ? and list_contains(sample_ids, ?)"
    assert project.rows(f"select count(*) from feature_skew {of_day}", day(2), PREDICTION) == [(2,)]
    done = erased(project, "--correlation-id", PREDICTION)
    assert re.search(r"feature_skew +2 rows changed \(sample_ids\)", done)
    assert re.search(r"prediction_sample +1 row deleted \(row_hash\)", done)
    assert "reports                  0 pages" in done
    counts = (
        "select different_count, len(sample_ids) from feature_skew where dt = ? and feature = 'x' and segment = 'all'"
    )
    assert project.rows(counts, day(2)) == [(1, 0)]
    assert project.rows("select count(*) from prediction_sample where dt = ?", day(2)) == [(ROWS - 1,)]
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        assert verify(warehouse) == []
    assert all({*report.unchanged} == {run.dt for run in report.runs} for report in project.run(1, 2))
    assert "nothing is stored" in erased(project, "--correlation-id", PREDICTION)
    assert project.rows("select cardinality(row_counts) from erasures order by erased_at") == [(2,), (0,)]


def test_purge_leaves_no_byte_of_the_id_in_files_and_catalog(project: Project) -> None:
    def holders(*ids: str) -> set[str]:
        """Folders of tables whose files have an id, and `catalog`."""
        data = f"{project.settings.resolve(project.settings.warehouse.data)}/main"
        tables = {path.parent.name for path in Path(data).rglob("*.parquet")}
        query = "select count(*) from read_parquet(?) as t where regexp_matches(t::varchar, ?)"
        found = {name for name in tables if project.rows(query, f"{data}/{name}/*.parquet", "|".join(ids)) != [(0,)]}
        catalog = Path(project.settings.resolve(project.settings.warehouse.catalog.removeprefix("sqlite:")))
        written = b"".join(path.read_bytes() for path in catalog.parent.glob(f"{catalog.name}*"))
        return found | ({"catalog"} if any(name.encode() in written for name in ids) else set())

    user = f"customer={USER}"
    assert {"heavy_hitters", "feature_profile", "catalog"} <= holders(user, PSEUDONYM)
    rows = project.contents("feature_profile", "feature_skew")
    assert "until they are 400 days old" in erased(project, "--user-key", USER)
    assert "heavy_hitters" in holders(user, PSEUDONYM)
    left = project.contents("feature_profile", "feature_skew", "heavy_hitters", "alert_actions")
    assert left["feature_profile"] != rows["feature_profile"]
    erased(project, "--user-key", USER, "--purge")
    assert holders(user, PSEUDONYM, f"seen: {USER}") == set()
    assert project.contents(*left) == left
    assert project.rows("select count(*) from ducklake_snapshots('lake')") == [(1,)]
    # the largest number of some columns whose bounds the catalog keeps
    erased(project, "--user-key", str(ROWS))
    project.telemetry(3)
    project.run(3, 3)
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        assert verify(warehouse) == []


# Names of models, rules, machines, files and settings, classes of models, and hashes of files.
WITHOUT_IDS = """
    acted_by action age_bucket basis bin_kind cause change channel classes code_version column_name
    columns_left_out comparison config_hash content_fingerprint dataset_fingerprint deployment downtime
    erased_by expectation expected feature feature_a feature_b feature_importance feature_kind feature_types
    features fingerprint found grid_transform incident_id input_fingerprint interval_unit key_id kind
    label_after label_before label_class lineage_fingerprint metric model_id model_version model_versions
    negative_label node_id outcome owner path paths positive_label predicted_class production_version
    reference rule run_id runbook schema_fingerprint score score_kind scored_class segment_column severity
    signal sli slo source stage state statistic subject subject_hash table_version target target_kind task
    training_data training_dataset_id training_run_id verdict
"""


def test_every_column_of_text_is_searched_or_known_to_hold_no_id() -> None:
    texts = {column.name for table in schema.tables() for column in table.columns if column.type.startswith("varchar")}
    assert texts - COLUMNS.keys() == set(WITHOUT_IDS.split())


def test_every_column_that_is_searched_is_documented() -> None:
    text = DOCS.read_text()
    searched = {column.name for table in schema.tables() for column, _ in searched_columns(table)}
    assert searched == COLUMNS.keys()
    assert [name for name in COLUMNS if f"`{name}`" not in text] == []
