"""Files that were added, changed or removed after their day was processed, and the days that are run again."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from data import day
from project import Project, truncate

from driftlake.inputs import partitions
from driftlake.inputs.late_files import late_ranges
from driftlake.lake.warehouse import Warehouse

LAST = 4


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Four days with telemetry; labels on two of them."""
    project = Project(tmp_path_factory.mktemp("late") / "project")
    for number in range(1, LAST + 1):
        project.telemetry(number)
    for number in (2, 3):
        project.labels(number)
    project.run(1, LAST, until="label_cohorts")
    shutil.copytree(project.root, project.root.with_name("copy"))
    return project


@pytest.fixture
def project(pristine: Project) -> Project:
    shutil.rmtree(pristine.root)
    shutil.copytree(pristine.root.with_name("copy"), pristine.root)
    return copy.copy(pristine)


def asked(project: Project) -> list[tuple[int, int]]:
    """First and last day of every requested range."""
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        found = late_ranges(warehouse, project.settings)
    return [((each.first_day - day(0)).days, (each.last_day - day(0)).days) for each in found]


def part(project: Project, folder: str, number: int) -> Path:
    return project.root / folder / f"dt={day(number)}" / "part-0.parquet"


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))


def test_unchanged_files_are_listed_and_not_opened(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "read_footer", None)
    assert asked(project) == []


CHANGES: dict[str, Callable[[Project], object]] = {
    "rewritten telemetry": lambda project: project.telemetry(3, score=[0.5] * 300),
    "more telemetry": lambda project: project.telemetry(3, name="part-1"),
    "telemetry gone": lambda project: part(project, "telemetry", 3).unlink(),
    "telemetry truncated": lambda project: truncate(part(project, "telemetry", 3)),
    "other bytes of the same size": lambda project: touch(part(project, "telemetry", 3)),
    "rewritten labels": lambda project: project.labels(3, label=[1] * 300),
    "late labels": lambda project: project.labels(4, predicted=3),
    "labels gone": lambda project: shutil.rmtree(part(project, "labels", 3).parent),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_requests_its_day_and_every_later_one(project: Project, change: str) -> None:
    CHANGES[change](project)
    assert asked(project) == [(4 if change == "late labels" else 3, LAST)]


def test_a_recorded_change_is_not_requested_again_even_if_refused(project: Project) -> None:
    truncate(part(project, "telemetry", 3))
    project.run(3, LAST, until="label_cohorts")
    assert asked(project) == []


def test_days_that_never_ran_split_the_ranges_and_are_not_requested(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    for number in (1, 2, 3, 5, 6):
        project.telemetry(number)
    for first, last in ((1, 2), (5, 6)):
        project.run(first, last, until="label_cohorts")
    project.telemetry(2, score=[0.5] * 300)
    assert asked(project) == [(2, 2), (5, 6)]


@pytest.mark.parametrize(("late_days", "ranges"), [(1, []), (2, [(3, 4)]), (0, [])])
def test_only_the_configured_days_are_looked_at(
    project: Project, late_days: int, ranges: list[tuple[int, int]]
) -> None:
    project.configure(schedule={"late_days": late_days})
    touch(part(project, "telemetry", 3))
    assert asked(project) == ranges


def test_the_key_is_that_of_the_files(project: Project) -> None:
    def key() -> str:
        with Warehouse.open(project.settings, read_only=True) as warehouse:
            (found,) = late_ranges(warehouse, project.settings)
        return found.key

    touch(part(project, "telemetry", 3))
    before = key()
    assert key() == before
    touch(part(project, "telemetry", 3))
    assert key() != before
