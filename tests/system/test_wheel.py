"""A wheel works without a checkout and installs nothing but driftlake into site-packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
import yaml
from data import day, feature_columns, prediction_columns, write_day, write_project

from driftlake.errors import InstallationError
from driftlake.lake import project_files
from driftlake.nightly import stages

ROOT = Path(__file__).resolve().parents[2]
# Environment variables without those that lead to this checkout or to another project.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "DAGSTER_HOME", "DRIFTLAKE_CONFIG"}
}
# One process, because importing Great Expectations and Dagster takes seconds each time.
RUN_COMMANDS = """
import json, sys
from driftlake.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["driftlake", *command]
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
"""
SHOW_CODE_VERSION = """
import sys
from driftlake.nightly import stages
assert not [place for place in sys.path if place == {root!r} or place == ''], sys.path
print(stages.__file__, stages.code_version())
"""


class Installed:
    """An environment with the wheel and, through a .pth file, the dependencies of this one.

    A .pth file there is not read, so the editable driftlake of this environment is not seen.
    """

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(root)]
        subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)
        (self.wheel,) = root.glob("driftlake-*.whl")
        venv.create(root / "venv")
        self.bin = root / "venv" / "bin"
        (self.site_packages,) = (root / "venv").glob("lib/python*/site-packages")
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "--disable-pip-version-check"]
        flags = ["--quiet", "--no-index", "--no-deps"]
        subprocess.run([*pip, "install", *flags, str(self.wheel)], cwd=root, env=ENVIRONMENT, check=True)
        (self.site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(self, command: str, *arguments: str, cwd: Path) -> str:
        """What a command of the environment prints."""
        ended = subprocess.run(
            [str(self.bin / command), *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("wheel"))


def test_a_wheel_puts_nothing_but_driftlake_beside_other_packages(installed: Installed) -> None:
    there = {path.name for path in installed.site_packages.iterdir()}
    assert there - {"dependencies.pth"} == {
        "driftlake",
        installed.wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }


def test_a_wheel_has_the_code_of_its_checkout_installed_or_as_a_zip(installed: Installed, tmp_path: Path) -> None:
    code = SHOW_CODE_VERSION.format(root=str(ROOT))
    file, version = installed.run("python", "-I", "-c", code, cwd=tmp_path).split()
    assert file == str(installed.site_packages / "driftlake" / "nightly" / "stages.py")
    assert version == stages.code_version()
    first = f"import sys; sys.path.insert(0, {str(installed.wheel)!r})\n"
    file, version = installed.run("python", "-I", "-c", first + code, cwd=tmp_path).split()
    assert file == str(installed.wheel / "driftlake" / "nightly" / "stages.py")
    assert version == stages.code_version()


@pytest.mark.parametrize("lost", ["sql", "assets"])
def test_incomplete_code_has_no_version(lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"driftlake", "sql", "assets", "expectations"} - {lost}:
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setattr(project_files, "files", lambda _: tmp_path / "driftlake")
    monkeypatch.setattr(project_files, "folder", project_files.folder.__wrapped__)
    with pytest.raises(InstallationError, match=lost):
        stages.code_version.__wrapped__()


def test_a_night_runs_from_a_wheel(installed: Installed, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    training = feature_columns(2000, generator) | {"score": generator.random(2000)}
    write_project(tmp_path / "data", features=["age", "channel"], training=training)
    rows = prediction_columns(1, 500, generator)
    sample = write_day(tmp_path / "data" / "telemetry", 1, rows)
    labels = {"correlation_id": rows["correlation_id"], "label": generator.integers(0, 2, 500)}
    write_day(tmp_path / "data" / "labels", 1, labels)

    assert installed.run("driftlake", "init", cwd=tmp_path).split()[0] == "driftlake.yaml"
    workspace = yaml.safe_load((tmp_path / "workspace.yaml").read_text())
    place = workspace["load_from"][0]["python_module"]["working_directory"]
    assert place == str(installed.site_packages / "driftlake" / "project")
    config = tmp_path / "driftlake.yaml"
    config.write_text(config.read_text().replace("start: 2026-01-01", f"start: {day(1)}") + "compute: {threads: 1}\n")
    counts = "select sum(row_count) as predictions from prediction_profile where segment = 'all'"
    commands = [
        ["doctor"],
        ["lineage", "add", "data/lineage/credit-v1.yaml"],
        ["check", str(sample)],
        ["backfill", "--from", str(day(1)), "--to", str(day(1))],
        ["report", "--date", str(day(1))],
        ["sql", counts, "--format", "csv"],
    ]
    printed = installed.run("python", "-I", "-c", RUN_COMMANDS, json.dumps(commands), cwd=tmp_path)
    assert "credit v1: registered" in printed
    assert f"\n{tmp_path / 'reports' / f'{day(1)}.html'}\n" in printed
    assert printed.endswith("\npredictions\n500\n")
    installed.run("python", "-m", "dagster", "definitions", "validate", cwd=tmp_path)
