"""Every case of the corpus of broken and hostile inputs has the expected outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from corpus import DAYS, HOSTILE, MISTAKES, Case, Corpus, Mistake
from data import day
from project import CHECKED_STAGES, ROWS, Project, outcomes

from driftlake.config.strict_yaml import parse_yaml
from driftlake.errors import DriftlakeError
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.stage_report import StageReport
from driftlake.report.pages import render_day


@dataclass(frozen=True)
class Ended:
    """How the day of a case ended."""

    outcome: str
    said: Sequence[str]
    counted: int | None


def ended(project: Project, numbers: Mapping[str, int], report: StageReport) -> dict[str, Ended]:
    """How the day of each case ended, by the name of the case."""
    checks = project.rows("select dt, coalesce(message, '') from contract_checks")
    counts = dict(
        project.rows("select dt, sum(row_count)::int from prediction_profile where segment = 'all' group by all")
    )
    reasons = {run.dt: run.reason or "" for run in report.runs}
    return {
        name: Ended(
            outcomes(report)[day(number)],
            [reasons[day(number)], *(message for dt, message in checks if dt == day(number))],
            counts.get(day(number)),
        )
        for name, number in numbers.items()
    }


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Every case that needs no project of its own, as a day of a project: one for telemetry, one for labels."""
    found: dict[str, Ended] = {}
    for stage in CHECKED_STAGES:
        cases = [case for case in DAYS if case.stage == stage and not case.project]
        numbers = {case.name: number for number, case in enumerate(cases, start=1)}
        project = Corpus(tmp_path_factory.mktemp(stage) / "project")
        for case in cases:
            project.add(case, numbers[case.name])
        report = project.run(1, len(cases), until=stage, is_checked=True)[-1]
        found |= ended(project, numbers, report)
    return found


@pytest.mark.parametrize("case", DAYS, ids=lambda case: case.name)
def test_a_broken_day_has_the_expected_outcome(tmp_path: Path, days: Mapping[str, Ended], case: Case) -> None:
    assert_ends_as_it_must(case, days[case.name] if case.name in days else ended_alone(tmp_path, case))


def ended_alone(tmp_path: Path, case: Case) -> Ended:
    project = Project(tmp_path / "project", **case.project)
    case.make(project)
    report = project.run(1, 1, until=case.stage, is_checked=True)[-1]
    return ended(project, {case.name: 1}, report)[case.name]


def assert_ends_as_it_must(case: Case, found: Ended) -> None:
    assert found.outcome == case.outcome
    assert any(case.says in text for text in found.said), found.said
    if case.stage == "profiles":
        assert found.counted == case.counted


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_refused_before_anything_runs(tmp_path: Path, mistake: Mistake) -> None:
    with pytest.raises(DriftlakeError, match=re.escape(mistake.says)):
        Project(tmp_path / "project", lineage=mistake.lineage, training=mistake.training, **mistake.sections)


def test_yaml_that_would_run_code_is_refused(tmp_path: Path) -> None:
    from driftlake.config import Settings

    text = f"start: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']"
    with pytest.raises(DriftlakeError, match="not valid YAML"):
        parse_yaml(Settings, tmp_path / "driftlake.yaml", text)
    assert not (tmp_path / "made").exists()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Every name that comes from outside is SQL, markup and a newline at once."""
    project = Project(
        tmp_path_factory.mktemp("hostile") / "project",
        training={HOSTILE: [HOSTILE, "b"] * 1000},
        lineage={"model_id": HOSTILE, "model_version": f"../../{HOSTILE}"},
        telemetry={
            "path": "telemetry",
            "segments": [f"segment {HOSTILE}".replace("=", "")],
            "high_cardinality": [f"many {HOSTILE}"],
            "columns": {"score": f"score {HOSTILE}", "correlation_id": f"id {HOSTILE}"},
        },
        drift={"windows_days": [1], "minimum_rows": 10},
    )
    names: dict[str, Any] = {
        "model_id": [HOSTILE] * ROWS,
        "model_version": [f"../../{HOSTILE}"] * ROWS,
        f"score {HOSTILE}": [0.5] * ROWS,
        f"id {HOSTILE}": [f"{HOSTILE}{row}" for row in range(ROWS)],
        f"segment {HOSTILE}": [HOSTILE] * ROWS,
        f"many {HOSTILE}": [HOSTILE] * ROWS,
        HOSTILE: [HOSTILE] * ROWS,
    }
    project.telemetry(1, score=None, correlation_id=None, **names)
    project.run(1, 1, is_checked=True)
    return project


def test_hostile_names_are_counted_like_any_other(hostile: Project) -> None:
    assert hostile.rows("select distinct feature from feature_profile order by all") == [
        ("colour",),
        (HOSTILE,),
        ("x",),
    ]
    assert hostile.rows("select distinct model_id from prediction_profile") == [(HOSTILE,)]
    segments = {segment for (segment,) in hostile.rows("select distinct segment from prediction_profile")}
    assert segments == {"all", f"segment {HOSTILE}={HOSTILE}"}
    assert hostile.rows("select value from heavy_hitters where segment = 'all'") == [(HOSTILE,)]


def test_hostile_names_are_text_on_the_page_and_write_nowhere_else(hostile: Project) -> None:
    before = {path for path in hostile.root.parent.rglob("*") if path.is_file()}
    with Warehouse.open(hostile.settings, read_only=True) as warehouse:
        page = Path(render_day(warehouse, hostile.settings, day(1)))
    text = page.read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    written = {path for path in hostile.root.parent.rglob("*") if path.is_file()} - before
    # a reader of the catalog has files of its own beside it while it is open
    assert {path.relative_to(hostile.root).parts[0] for path in written} <= {"reports", "warehouse"}


def test_the_corpus_has_sixty_cases_of_distinct_names() -> None:
    names = [case.name for case in (*DAYS, *MISTAKES)]
    assert len(set(names)) == len(names) >= 60
