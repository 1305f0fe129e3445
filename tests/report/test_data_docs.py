"""Data Docs name every check of a day, with counts alone and nothing that a name could break."""

from __future__ import annotations

import re
from pathlib import Path

from corpus import HOSTILE
from data import day
from project import ROWS, Project

from driftlake.lake.warehouse import Warehouse
from driftlake.report.data_docs import publish
from driftlake.report.pages import render_day

EMAIL = "ada@example.org"


def test_every_check_is_on_a_page_that_the_report_links(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", training={HOSTILE: ["a", "b"] * 1000})
    deployments = [EMAIL, *["production"] * (ROWS - 1)]
    project.telemetry(1, deployment=deployments, **{HOSTILE: [None] * 100 + ["a"] * (ROWS - 100)})
    project.labels(1)
    project.run(1, 1, until="label_cohorts", is_checked=True)
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        pages = publish(warehouse, project.settings, day(1))
        report = render_day(warehouse, project.settings, day(1)).read_text()
    assert [page.name for page in pages] == [f"{day(1)}-labels.html", f"{day(1)}-telemetry.html"]
    assert all(f'href="data_docs/{page.name}"' in report for page in pages)
    text = pages[1].read_text()
    assert "correlation id is present" in text
    assert "feature is as complete as in training" in text
    assert "<script" not in text
    assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*|(?:src|url)\s*[=(]\s*[\"']?https?:[^>]*", text) == []
    assert "Content-Security-Policy" in text
    assert EMAIL not in text
