"""Maintenance changes files and snapshots but no row, also if others read, write or are killed meanwhile."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from data import day
from project import Project, kept, restored

from driftlake.cli import app
from driftlake.errors import WarehouseError
from driftlake.lake.maintenance import Upkeep, maintain
from driftlake.lake.shell import answer
from driftlake.lake.warehouse import Warehouse
from driftlake.provenance.text import as_text
from driftlake.provenance.trace import explain

ROOT = Path(__file__).resolve().parents[2]
NIGHTS = 3


def run_nights(project: Project, first: int, last: int) -> None:
    for number in range(first, last + 1):
        project.telemetry(number)
        project.run(number, number, until="drift")


def after_nights(root: Path) -> Project:
    """Some nights, one after the other, and one of them again."""
    made = Project(root)
    run_nights(made, 1, NIGHTS)
    made.telemetry(2, colour=None)
    for number in range(2, NIGHTS + 1):
        made.run(number, number, until="drift")
    return made


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return kept(after_nights(tmp_path_factory.mktemp("pristine") / "project"))


@pytest.fixture(scope="module")
def worn(pristine: Project) -> Project:
    """After maintenance and two later nights."""
    made = restored(pristine)
    maintained(made)
    run_nights(made, NIGHTS + 1, NIGHTS + 2)
    return kept(made, "worn")


@pytest.fixture
def project(pristine: Project) -> Project:
    return restored(pristine)


def maintained(project: Project, *, days_later: int = 0, is_dry_run: bool = False) -> Upkeep:
    with Warehouse.open(project.settings) as warehouse:
        now = datetime.now(UTC) + timedelta(days=days_later)
        return maintain(warehouse, project.settings, now=now, is_dry_run=is_dry_run)


def files(project: Project) -> set[Path]:
    return set((project.root / "warehouse" / "data").rglob("*.parquet"))


def past(project: Project) -> dict[tuple[str, int], list[object]]:
    """Rows of some tables in every snapshot that wrote some."""
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        ids = warehouse.sql("select distinct snapshot_id from partition_runs")["snapshot_id"].to_pylist()
        return {
            (table, each): sorted(
                warehouse.connection.execute(f"from {table} at (version => {each})").fetchall(), key=repr
            )
            for table in ("feature_profile", "feature_drift", "partition_runs")
            for each in ids
        }


def test_current_and_past_rows_stay_and_files_become_few(project: Project) -> None:
    rows, history, before = project.contents(), past(project), files(project)
    done = maintained(project)
    assert done.compacted_file_count > done.compacted_table_count > 3
    assert done.after.current_file_count < done.before.current_file_count
    assert before <= files(project)
    assert past(project) == history
    later = maintained(project, days_later=402)
    maintained(project, days_later=406)
    assert len(files(project)) == later.after.current_file_count < len(before)
    assert project.contents() == rows
    assert all(
        {*report.unchanged} == {run.dt for run in report.runs} for report in project.run(1, NIGHTS, until="drift")
    )


def test_a_second_call_finds_nothing_left_to_compact(project: Project) -> None:
    maintained(project)
    assert maintained(project).compacted_file_count == 0


@pytest.mark.parametrize("days_later", [0, 1, 2])
def test_no_file_is_deleted_in_its_grace_period(project: Project, days_later: int) -> None:
    maintained(project)
    left = project.root / "warehouse" / "data" / "main" / "alerts" / "of-a-killed-run.parquet"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"PAR1")
    before = files(project)
    done = maintained(project, days_later=days_later)
    assert (done.deleted_count, done.orphan_count) == (0, 0)
    assert files(project) == before


def test_files_of_a_killed_run_are_deleted_after_the_grace_period(project: Project) -> None:
    left = project.root / "warehouse" / "data" / "main" / "alerts" / "of-a-killed-run.parquet"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"PAR1")
    assert maintained(project, days_later=4).orphan_count == 1
    assert not left.exists()


def test_an_expired_snapshot_is_a_sentence_and_the_rows_stay(project: Project) -> None:
    rows = project.contents()
    kept = maintained(project, days_later=400)
    assert kept.expired_count == 0
    expired = maintained(project, days_later=402)
    assert (expired.expired_count, expired.after.snapshot_count) == (kept.after.snapshot_count - 1, 1)
    maintained(project, days_later=406)
    assert project.contents() == rows
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        found = explain(warehouse, project.settings, "feature_drift", day=day(2))
        [snapshot] = {run["snapshot_id"] for run in found.runs}
        sentence = f"-- snapshot {snapshot} has expired (warehouse.snapshot_retention_days); the rows as they are now:"
        assert found.query == f"{sentence}\nfrom feature_drift where dt = date '{day(2)}'"
        assert f"  {sentence}\n  from feature_drift" in as_text(found, "")
        assert warehouse.sql(found.query).num_rows == found.row_count
        with pytest.raises(WarehouseError) as caught:
            answer(warehouse, f"from feature_drift at (version => {snapshot})")
        assert "snapshot_retention_days" in str(caught.value.hint)
    run_nights(project, NIGHTS + 1, NIGHTS + 1)
    assert project.rows("select count(*) from partition_runs where dt = ?", day(NIGHTS + 1)) == [(3,)]


def test_null_keeps_every_snapshot(project: Project) -> None:
    project.configure(warehouse={"snapshot_retention_days": None})
    assert maintained(project, days_later=100_000).expired_count == 0


def test_a_dry_run_says_what_a_run_does_and_does_nothing(project: Project) -> None:
    maintained(project)
    run_nights(project, NIGHTS + 1, NIGHTS + 3)
    before = files(project)
    said = maintained(project, days_later=402, is_dry_run=True)
    assert (said.before, files(project)) == (said.after, before)
    done = maintained(project, days_later=402)
    assert said.expired_count == done.expired_count > 0
    assert said.compacted_table_count >= done.compacted_table_count > 0


def test_a_reader_sees_the_same_rows_during_its_transaction(project: Project) -> None:
    rows = project.contents("feature_profile", "feature_drift")
    with Warehouse.open(project.settings, read_only=True) as reader:
        reader.connection.execute("begin")
        reader.connection.execute("from feature_profile limit 1").fetchall()
        maintained(project)
        read = {name: sorted(reader.connection.execute(f"from {name}").fetchall(), key=repr) for name in rows}
    assert read == rows


KILLED = """
    import os, sys
    from datetime import UTC, datetime, timedelta
    from pathlib import Path
    from driftlake.lake import maintenance
    from driftlake.config import load_settings
    from driftlake.lake.warehouse import Warehouse

    settings, step = load_settings(Path(sys.argv[1])), sys.argv[2]
    call, rewrite, write = maintenance._call, maintenance._rewrite, Warehouse.write

    def rewrite_and_die(*arguments):
        if rewrite(*arguments) and step == "compact":
            os._exit(9)

    def call_and_die(warehouse, function, before, **options):
        def die_before_commit(self, work):
            with self._transaction():
                work()
                os._exit(9)

        Warehouse.write = die_before_commit if step in function else write
        return call(warehouse, function, before, **options)

    maintenance._call, maintenance._rewrite = call_and_die, rewrite_and_die
    with Warehouse.open(settings) as warehouse:
        maintenance.maintain(warehouse, settings, now=datetime.now(UTC) + timedelta(days=402))
"""


@pytest.mark.parametrize("step", ["expire_snapshots", "compact", "cleanup_old_files", "orphaned_files"])
@pytest.mark.processes
def test_killed_at_any_step_it_leaves_the_rows_and_the_next_one_does_the_rest(worn: Project, step: str) -> None:
    project = restored(worn, "worn")
    rows = project.contents()
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(project.root / "driftlake.yaml"), step]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert project.contents() == rows
    done = maintained(project, days_later=410)
    assert project.contents() == rows
    assert (len(files(project)), done.after.waiting_file_count) == (done.after.file_count, 0)


MAINTAIN = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from driftlake.config import load_settings
    from driftlake.lake.maintenance import maintain
    from driftlake.lake.warehouse import Warehouse

    settings = load_settings(Path(sys.argv[1]))
    for _ in range(8):
        with Warehouse.open(settings) as warehouse:
            maintain(warehouse, settings, now=datetime.now(UTC))
"""


@pytest.mark.processes
def test_nights_during_maintenance_write_the_same_rows(tmp_path: Path) -> None:
    alone, watched = Project(tmp_path / "alone"), Project(tmp_path / "watched")
    run_nights(alone, 1, NIGHTS)
    command = [sys.executable, "-c", textwrap.dedent(MAINTAIN), str(watched.root / "driftlake.yaml")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as meanwhile:
        run_nights(watched, 1, NIGHTS)
        assert meanwhile.communicate(timeout=300)[1] == ""
    assert meanwhile.returncode == 0
    named = ("feature_profile", "feature_drift", "prediction_profile")
    assert watched.contents(*named) == alone.contents(*named)


def test_the_command_says_what_it_did(project: Project) -> None:
    from typer.testing import CliRunner

    config = ["--config", str(project.root / "driftlake.yaml")]
    result = CliRunner().invoke(app, ["maintain", *config])
    assert result.exit_code == 0
    assert "files of the newest rows" in result.output
    with pytest.raises(duckdb.Error, match="No snapshot found"), Warehouse.open(project.settings) as warehouse:
        warehouse.sql("from alerts at (version => 100000)")
