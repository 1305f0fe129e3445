"""A fault of the machine or the catalog is reported in a sentence with a hint and the right exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from command import driftlake
from data import write_day, write_project

from driftlake import cli
from driftlake.config import load_settings, loading
from driftlake.lake import catalog
from driftlake.lake.warehouse import Warehouse
from jobs.launch import prepare_instance

SAFE = "committed data is safe"
# Every command, with arguments that are good.
COMMANDS = {
    "run": ["--date", "2024-03-01"],
    "backfill": ["--from", "2024-03-01", "--to", "2024-03-01"],
    "replay": [],
    "sql": ["from alerts"],
    "explain": ["alerts"],
    "report": ["--date", "2024-03-01"],
    "sample": ["--model", "credit", "--date", "2024-03-01"],
    "metrics": ["--from", "2024-03-01", "--to", "2024-03-01"],
    "erase": ["--correlation-id", "prediction-1"],
    "verdict": [],
    "check": ["sample.parquet"],
    "pseudonymize": ["sample.parquet", "out.parquet"],
    "maintain": [],
    "verify": [],
    "backup": ["copy"],
    "restore": ["copy"],
    "doctor": [],
    "lineage add": ["lineage/credit-v1.yaml"],
    "lineage suite": ["credit", "v1"],
    "lineage export": [],
    "lineage relearn": ["credit", "v1"],
    "alerts show": ["3f9a"],
    "alerts ack": ["3f9a", "--until", "2024-03-02", "--reason", "known"],
    "alerts snooze": ["3f9a", "--until", "2024-03-02", "--reason", "known"],
    "alerts mute": ["drift", "--until", "2024-03-02", "--reason", "known"],
    "alerts suggest": ["--per-month", "2", "--from", "2024-03-01", "--to", "2024-03-01"],
    "alerts replay": ["--rules", "rules.yaml", "--from", "2024-03-01", "--to", "2024-03-01"],
    "import otlp": ["sample.parquet", "--propose"],
    "import feast": ["sample.parquet", "--propose"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "project"
    settings = write_project(root, features=["x"], training={"x": [1.0, 2.0], "score": [0.1, 0.2]})
    row = "now() + interval (range) second, 'mute', 'rule', 'drift', date '2024-03-01', date '2024-03-02', 'new cut', 'ann'"
    with Warehouse.open(settings) as warehouse:
        warehouse.connection.execute(f"insert into alert_actions select {row} from range(100)")
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project"))


@pytest.fixture
def small_disk(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The project on a disk of four megabytes; skipped for users who may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a disk")
    yield Path(shutil.copytree(made, disk / "project"))
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def failure_of(*command: str, cwd: Path) -> str:
    """The message of a failed command."""
    result = driftlake(*command, cwd=cwd)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    assert result.stderr.count("error: ") == 1
    return result.stderr


@pytest.mark.parametrize("command", [["verify"], ["backup", "copy"], ["sql", "from alert_actions"], ["init", "new"]])
def test_a_full_disk_is_reported(small_disk: Path, command: list[str]) -> None:
    disk = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (disk.f_bavail * disk.f_bsize))
    said = failure_of(*command, cwd=small_disk)
    assert "the disk is full" in said
    assert f"hint: {SAFE}" in said
    (small_disk / "filler").unlink()
    assert driftlake(*command, cwd=small_disk).returncode == 0


def test_a_full_disk_does_not_switch_the_telemetry_of_dagster_on(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(small_disk / ".dagster"))
    settings, disk = load_settings(small_disk / "driftlake.yaml"), os.statvfs(small_disk)
    (small_disk / ".dagster").mkdir()
    (small_disk / "filler").write_bytes(b"x" * (disk.f_bavail * disk.f_bsize))
    with pytest.raises(OSError, match="No space left"):
        prepare_instance(settings)
    (small_disk / "filler").unlink()
    home = prepare_instance(settings)
    assert yaml.safe_load((home / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["verify"], "a file or folder is read-only"),
        (["backup", "copy"], "a file or folder is read-only"),
        (
            ["sql", "from alert_actions"],
            "the file of the catalog cannot be opened; even to read it, SQLite writes files",
        ),
    ],
)
def test_a_read_only_place_is_reported(small_disk: Path, command: list[str], sentence: str) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk.parent)], check=True)
    assert sentence in failure_of(*command, cwd=small_disk)


@pytest.mark.parametrize("command", [["verify"], ["backup", "copy"], ["sql", "from alert_actions"]])
def test_a_damaged_catalog_is_reported(project: Path, command: list[str]) -> None:
    place = project / "warehouse/catalog.sqlite"
    place.write_bytes(b"x" * 5000)
    said = failure_of(*command, cwd=project)
    assert "the file of the catalog is damaged" in said
    assert "`driftlake restore`" in said


LOCKED = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("begin exclusive")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_catalog_is_reported(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_BUSY_TIMEOUT_MS", 50)
    command = [sys.executable, "-c", LOCKED, str(project / "warehouse/catalog.sqlite")]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        said = failure_of("verify", cwd=project)
        holder.communicate()
    assert "another program holds the lock of the catalog" in said
    assert f"hint: {SAFE}" in said


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_new_catalog_is_not_created_for_the_data_of_a_lost_one(project: Path, *, is_empty: bool) -> None:
    place = project / "warehouse/catalog.sqlite"
    place.write_bytes(b"") if is_empty else place.unlink()
    before = sorted((project / "warehouse/data").rglob("*"))
    said = failure_of("lineage", "add", "lineage/credit-v1.yaml", cwd=project)
    assert "has data files of a warehouse" in said
    assert "hint: restore the catalog from a backup" in said
    assert sorted((project / "warehouse/data").rglob("*")) == before


def test_readers_are_told_if_the_catalog_must_be_migrated(project: Path) -> None:
    with Warehouse.open(load_settings(project / "driftlake.yaml")) as warehouse:
        for statement in ("drop view newest_day", "delete from schema_versions"):
            warehouse.connection.execute(statement)
    said = failure_of("verdict", cwd=project)
    assert "the warehouse has version 0 of the tables and views" in said
    assert "hint: run `driftlake backup` and then any command that writes" in said


def test_a_missing_data_file_is_reported(project: Path) -> None:
    [gone] = (project / "warehouse/data/main/alert_actions").glob("*.parquet")
    other = gone.with_name("other.parquet")
    gone.rename(other)
    said = failure_of("sql", "from alert_actions", cwd=project)
    assert "the data files of the warehouse are not in" in said or "a required file is missing" in said


def test_running_out_of_memory_is_reported(project: Path) -> None:
    path = project / "driftlake.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"compute": {"memory_limit": "60MB"}}))
    said = failure_of("sql", "select list(i) from range(20_000_000) t(i)", cwd=project)
    assert "memory ran out" in said
    assert "raise compute.memory_limit" in said


ASKS_FOR_MORE = """
import numpy as np
from driftlake import cli
from driftlake.cli import common

cli.app.registered_commands.clear()

@cli.app.command()
def ask(size: float, settings: str):
    getattr(common, settings)(None)
    np.empty(int(size), np.int8)

@cli.app.command()
def other(): pass

cli.main()
"""


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the data of a process")
@pytest.mark.parametrize(
    ("settings", "size", "code"),
    [("configured", "1e9", 0), ("configured", "1.2e10", 2), ("configured_if_any", "1.2e10", 2)],
)
def test_a_command_that_exceeds_its_memory_limit_is_reported(
    project: Path, settings: str, size: str, code: int
) -> None:
    command = [sys.executable, "-c", ASKS_FOR_MORE, "ask", size, settings]
    folder = project if settings == "configured" else project / "telemetry"
    asked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert asked.returncode == code, asked.stderr
    assert ("memory ran out" in asked.stderr) == bool(code)


def commands(group: Any, *names: str) -> Iterator[str]:
    if not hasattr(group, "commands"):
        yield " ".join(names)
    else:
        for name, command in group.commands.items():
            yield from commands(command, *names, name)


def test_every_command_is_tried() -> None:
    # it reads no configuration
    assert set(commands(typer.main.get_command(cli.app))) == COMMANDS.keys() | {"init"}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", [[], ["--debug"]])
def test_an_unexpected_error_has_a_code_of_its_own(
    project: Path, monkeypatch: pytest.MonkeyPatch, command: str, option: list[str]
) -> None:
    write_day(project, 1, {"x": [1.0]}).rename(project / "sample.parquet")
    (project / "rules.yaml").write_text("[]")
    monkeypatch.setattr(loading, "compose", lambda *_: dict[str, str]()["lost"])
    result = driftlake(*option, *command.split(), *COMMANDS[command], cwd=project)
    assert result.returncode == 3
    assert "unexpected: KeyError" in result.stderr
    assert ("Traceback" in result.stderr) == bool(option)
