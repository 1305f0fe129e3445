"""A backup made during runs is a complete warehouse, also at another place."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from data import day
from project import Project, kept, restored

from driftlake.config import Settings, load_settings
from driftlake.errors import WarehouseError
from driftlake.lake.backup import back_up, restore
from driftlake.lake.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("nights") / "project")
    for number in (1, 2):
        made.telemetry(number)
        made.run(number, number, until="drift")
    return kept(made)


@pytest.fixture
def project(two_nights: Project) -> Project:
    return restored(two_nights)


def elsewhere(project: Project, root: Path) -> Project:
    """The project on another machine: with its inputs, without its warehouse; the original is gone."""
    root.mkdir()
    for path in project.root.iterdir():
        if path.name != "warehouse":
            path.rename(root / path.name)
    (project.root / "warehouse").rename(root.parent / "lost")
    project.root, project.settings = root, load_settings(root / "driftlake.yaml")
    return project


def test_a_restored_warehouse_has_the_rows_and_works_at_another_place(project: Project, tmp_path: Path) -> None:
    rows, snapshots = project.contents(), project.rows("from ducklake_snapshots('lake')")
    back_up(project.settings, tmp_path / "backup")
    there = elsewhere(project, tmp_path / "there")
    restore(there.settings, tmp_path / "backup")
    assert there.contents() == rows
    assert there.rows("from ducklake_snapshots('lake')") == snapshots
    there.telemetry(3)
    reports = there.run(3, 3, until="drift")
    assert [run.outcome for run in reports[0].runs] == ["complete"]
    assert there.rows(
        "select sum(row_count)::int from prediction_profile where dt = ? and segment = 'all'", day(3)
    ) == [(300,)]


def test_a_warehouse_that_lacks_a_file_is_not_backed_up_and_the_earlier_backup_stays(
    project: Project, tmp_path: Path
) -> None:
    back_up(project.settings, tmp_path / "backup")
    before = (tmp_path / "backup" / "catalog.sqlite").read_bytes()
    project.telemetry(3)
    project.run(3, 3, until="drift")
    data = Path(project.settings.resolve("warehouse/data"))
    new = {path.name for path in data.rglob("*.parquet")} - {path.name for path in tmp_path.rglob("*.parquet")}
    next(path for path in data.rglob("*.parquet") if path.name in new).unlink()
    for target in ("backup", "other"):
        with pytest.raises(WarehouseError, match="no backup was made: the warehouse has lost 1 data file"):
            back_up(project.settings, tmp_path / target)
    assert (tmp_path / "backup" / "catalog.sqlite").read_bytes() == before
    with pytest.raises(WarehouseError, match="there is no backup"):
        restore(project.settings, tmp_path / "other")


NIGHTS = """
    import sys
    sys.path[:0] = ["tests"]
    from pathlib import Path
    from data import day
    from driftlake.config import load_settings
    from driftlake.nightly.derived import compare_days
    from driftlake.nightly.profiles import profile_days
    from driftlake.nightly.stages import new_context
    from driftlake.lake.warehouse import Warehouse

    settings = load_settings(Path(sys.argv[1]))
    for number in range(3, 7):
        with Warehouse.open(settings) as warehouse:
            for stage in (profile_days, compare_days):
                stage(warehouse, settings, new_context(settings, "night"), [day(number)])
"""
COUNTS = "select dt, sum(row_count)::int from prediction_profile where segment = 'all' group by dt order by dt"


def restored_rows(settings: Settings, source: Path) -> list[tuple[object, ...]]:
    for place in ("catalog.sqlite", "data"):
        path = Path(settings.resolve(f"warehouse/{place}"))
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    restore(settings, source)
    with Warehouse.open(settings, read_only=True) as warehouse:
        return warehouse.connection.execute(COUNTS).fetchall()


@pytest.mark.processes
def test_each_backup_made_while_nights_run_is_whole(project: Project, tmp_path: Path) -> None:
    for number in range(3, 7):
        project.telemetry(number)
    command = [sys.executable, "-c", textwrap.dedent(NIGHTS), str(project.root / "driftlake.yaml")]
    made: list[Path] = []
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as nights:
        while nights.poll() is None:
            made.append(back_up(project.settings, tmp_path / f"backup-{len(made)}").place)
        assert nights.communicate()[1] == ""
    made.append(back_up(project.settings, made[0]).place)
    (tmp_path / "copy").mkdir()
    config = shutil.copy(project.root / "driftlake.yaml", tmp_path / "copy")
    settings = load_settings(Path(config))
    for backup in [*made[1 :: max(len(made) // 4, 1)], made[-1]]:
        found = restored_rows(settings, backup)
        assert found == [(day(number), 300) for number in range(1, len(found) + 1)]
    assert len(found) == 6


def test_a_later_backup_copies_what_is_new(project: Project, tmp_path: Path) -> None:
    first = back_up(project.settings, tmp_path / "backup")
    assert first.file_count > 0
    assert back_up(project.settings, tmp_path / "backup").file_count == 0


def test_an_interrupted_backup_leaves_the_one_before(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(project.settings, tmp_path / "backup")
    rows = project.contents()
    project.telemetry(3)
    project.run(3, 3, until="drift")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(OSError, match="no space left"):
            back_up(project.settings, tmp_path / "backup")
    there = elsewhere(project, tmp_path / "there")
    restore(there.settings, tmp_path / "backup")
    assert there.contents() == rows


def test_a_backup_that_is_impossible_or_would_overwrite_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="there is no backup in"):
        restore(project.settings, tmp_path / "nowhere")
    back_up(project.settings, tmp_path / "backup")
    with pytest.raises(WarehouseError, match="there is already a warehouse at"):
        restore(project.settings, tmp_path / "backup")
    project.configure(warehouse={"catalog": "postgres:host=db dbname=lake"})
    with pytest.raises(WarehouseError, match="only a warehouse with a SQLite catalog") as caught:
        back_up(project.settings, tmp_path / "backup")
    assert "pg_dump" in str(caught.value.hint)
