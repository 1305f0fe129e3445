"""What an engine needs and does not find is one sentence before any work starts. test_spark.py has what it counts."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from data import write_project
from project import Project

from driftlake.config import SparkSettings
from driftlake.engines import cluster
from driftlake.errors import ConfigurationError, EngineError
from driftlake.setup.doctor import examine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with pyspark and a Java, which is returned."""
    monkeypatch.delitem(sys.modules, "pyspark", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    for module in ("__init__.py", "version.py"):
        pyspark = tmp_path / "packages" / "pyspark" / module
        pyspark.parent.mkdir(parents=True, exist_ok=True)
        pyspark.touch()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    install(java, "21.0.1")
    return java


def install(java: Path, version: str) -> None:
    java.write_text(f"""#!/bin/sh\necho 'openjdk version "{version}"' >&2\n""")
    java.chmod(0o755)


def closed_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_a_machine_with_everything_is_fine(machine: Path) -> None:
    cluster.require(SparkSettings())


def test_no_pyspark_is_said(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(
        EngineError, match=r"needs pyspark, which is not installed\nhint: pip install 'driftlake\[spark\]'"
    ):
        cluster.require(SparkSettings())


@pytest.mark.parametrize("missing", ["__init__.py", "version.py"])
def test_what_is_left_of_pyspark_is_told_from_pyspark(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    (tmp_path / "packages" / "pyspark" / missing).unlink()
    # this machine may have a whole one
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages")])
    left = rf"only a part of it is installed in .*packages{os.sep}pyspark\nhint: remove this folder, then pip install"
    with pytest.raises(EngineError, match=left):
        cluster.require(SparkSettings())


def test_no_java_is_said(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.unlink()
    with pytest.raises(EngineError, match="needs Java, which was not found: JAVA_HOME is .*, which has no bin/java"):
        cluster.require(SparkSettings())
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineError, match="JAVA_HOME is not set and no java is on PATH"):
        cluster.require(SparkSettings())


def test_an_old_java_is_said(machine: Path) -> None:
    install(machine, "11.0.2")
    with pytest.raises(EngineError, match=r'needs Java 17 or later; .* prints: openjdk version "11.0.2"'):
        cluster.require(SparkSettings())


def test_a_master_that_does_not_answer_is_named(machine: Path) -> None:
    master = f"spark://127.0.0.1:{closed_port()}"
    with pytest.raises(EngineError, match=rf"the Spark master {master} cannot be reached \(.*Connection refused"):
        cluster.require(SparkSettings(master=master))


def test_a_standby_master_is_enough(machine: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cluster.require(
            SparkSettings(master=f"spark://127.0.0.1:{closed_port()},127.0.0.1:{listening.getsockname()[1]}")
        )


def test_a_master_of_no_kind_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"driftlake.yaml:\d+: spark.master"):
        write_project(tmp_path / "project", features=["x"], training={"x": [1.0]}, spark={"master": "host:7077"})


def test_without_its_engine_a_run_does_nothing_and_the_doctor_says_why(tmp_path: Path, machine: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1)
    project.labels(1)
    master = f"spark://127.0.0.1:{closed_port()}"
    project.configure(engine="spark", spark={"master": master})
    with pytest.raises(EngineError, match="cannot be reached"):
        project.run(1, 1)
    assert project.rows("select * from partition_runs") == []
    [found] = [finding for finding in examine(project.root / "driftlake.yaml") if finding.subject == "engine"]
    assert (found.is_well, found.message.startswith(f"the Spark master {master} cannot be reached")) == (False, True)


def test_which_engine_counts_changes_no_number(tmp_path: Path) -> None:
    settings = write_project(tmp_path / "project", features=["x"], training={"x": [1.0]})
    other = settings.model_copy(update={"engine": "spark", "spark": SparkSettings(master="yarn")})
    assert other.config_hash == settings.config_hash
