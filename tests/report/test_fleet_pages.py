"""Pages of a day with several models: a page for each, whatever its name, and one that lists, sorts and filters them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from base64 import b64encode
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from data import Row, day, insert, write_project
from hypothesis import given
from hypothesis import strategies as st

from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.report import page_files, sections
from driftlake.report.pages import render_day, render_index
from driftlake.report.sparklines import sparkline
from driftlake.vocabulary.page_names import model_page_name

TODAY = day(40)
MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
# names that are invalid file names, differ only by case, or become equal once they are made readable
HOSTILE = [
    "../../escaped",
    "/etc/passwd",
    "a/b",
    "a b",
    "a-b",
    "A-B",
    ".",
    "",
    "müller",
    MARKUP,
    "long" * 80,
    "\x1b[31m\u202e",
]
VERDICTS = {
    "harmed": "auc 0.700 is worse",
    "broken": "a unit changed",
    "watch": "income drifted",
    "well": "No alert is open",
}


def given_day(memory: Warehouse, verdicts: dict[str, str], *, backlog: dict[str, float] | None = None) -> None:
    """A processed day on which each model of `verdicts` predicted and was judged."""
    run = {
        "run_id": "r",
        "outcome": "complete",
        "row_count": 1,
        "code_version": "1",
        "config_hash": "c" * 64,
        "snapshot_id": 1,
    }
    at = datetime(2024, 4, 10, tzinfo=UTC)
    for stage in ("profiles", "alerts"):
        insert(
            memory.connection,
            "partition_runs",
            [run | {"dt": TODAY, "stage": stage, "started_at": at, "committed_at": at}],
        )
    for model_id, verdict in verdicts.items():
        version: Row = {"dt": TODAY, "model_id": model_id, "model_version": "v1", "deployment": "production"}
        counted = {"sampling_rate": 1.0, "prediction_count": 10, "sampled_count": 10}
        insert(memory.connection, "sampling_rates", [version | counted])
        judged = {"verdict": verdict, "sentence": f"{VERDICTS[verdict]}.", "statistic": "auc", "baseline_value": 0.8}
        values = [{"dt": TODAY - timedelta(days=back), "value": 0.7 + back / 100} for back in range(3)]
        insert(memory.connection, "model_verdicts", [version | judged | value for value in values])
        if backlog and model_id in backlog:
            share = {"overdue_share": backlog[model_id], "segment": "all", "age_bucket": "all", "age_from_days": 0}
            counts = {"prediction_count": 10, "labelled_count": 0, "outstanding_count": 10, "growth_count": 0}
            insert(memory.connection, "label_backlog", [version | share | counts])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(
        tmp_path / "project",
        features=[],
        training={"x": [1.0]},
        models={"harmed-1": {"owner": "risk team"}, "odd-2": {"tier": "high"}, "fine-1": {"tier": "low"}},
    )


def folder(settings: Settings) -> Path:
    return page_files.folder(settings)


def pages(settings: Settings) -> dict[str, Path]:
    return {path.name: path for path in (folder(settings) / str(TODAY)).iterdir()}


def test_every_model_has_a_page_of_its_own_inside_the_folder(memory: Warehouse, settings: Settings) -> None:
    given_day(memory, dict.fromkeys(HOSTILE, "well"))
    text = render_day(memory, settings, TODAY).read_text()
    written = {path.relative_to(folder(settings)).as_posix() for path in folder(settings).rglob("*.html")}
    linked = set(re.findall(rf'href="({TODAY}/[^"#]+)"', text))
    assert written == {f"{TODAY}.html"} | linked
    assert len({name.casefold() for name in linked}) == len(HOSTILE)
    for page in (text, *(path.read_text() for path in pages(settings).values())):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert not {"\x1b", "\u202e"} & set(page)


@given(st.lists(st.text(st.characters(codec=None), max_size=70), min_size=2, max_size=2, unique=True))
def test_two_models_never_share_a_file(model_ids: list[str]) -> None:
    names = [model_page_name(TODAY, model_id) for model_id in model_ids]
    assert names[0].casefold() != names[1].casefold()
    for name in names:
        assert re.fullmatch(rf"{TODAY}/[a-z0-9][a-z0-9._-]{{0,70}}\.html", name)


def test_only_changed_pages_are_written_and_old_ones_removed(memory: Warehouse, settings: Settings) -> None:
    given_day(memory, {"a": "well", "b": "watch", "c": "well"})
    render_day(memory, settings, TODAY)
    before = {name: path.stat().st_ino for name, path in pages(settings).items()}
    # another run of the same day
    memory.connection.execute("update partition_runs set run_id = 'again', snapshot_id = 2")
    memory.connection.execute("update model_verdicts set sentence = 'It is worse.' where model_id = 'b'")
    memory.connection.execute("delete from sampling_rates where model_id = 'c'")
    text = render_day(memory, settings, TODAY).read_text()
    after = {name: path.stat().st_ino for name, path in pages(settings).items()}
    assert before.keys() - after.keys() == {"c.html"}
    assert {name for name in after if after[name] != before[name]} == {"b.html"}
    assert "again" in text
    memory.connection.execute("delete from sampling_rates where model_id = 'b'")
    alone = render_day(memory, settings, TODAY).read_text()
    assert "Runs that computed the rows of this page" in alone
    assert not (folder(settings) / str(TODAY)).exists()


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium to open a page with")
def test_a_browser_sorts_and_filters_the_models(memory: Warehouse, settings: Settings, tmp_path: Path) -> None:
    given_day(
        memory,
        {"fine-1": "well", "odd-1": "watch", "harmed-1": "harmed", "odd-2": "watch", "bad-1": "broken"},
        backlog={"odd-1": 0.2, "harmed-1": 0.1},
    )
    page = render_day(memory, settings, TODAY)
    acts = """
    const seen = [];
    const note = () => seen.push([...document.querySelectorAll("#fleet tbody tr")].filter(row => !row.hidden).map(row => row.id.slice(6)).join(" "));
    const set = (name, value) => { const field = document.getElementById(name); field.value = value; field.dispatchEvent(new Event("input", {bubbles: true})); };
    note();
    const overdue = document.querySelectorAll("#fleet thead button")[5];
    overdue.click(); note(); overdue.click(); note();
    set("verdict", "watch"); note();
    set("verdict", ""); set("text", "UNIT chang"); note();
    set("text", ""); set("owner", "risk team"); note();
    set("owner", ""); set("tier", "high"); note();
    document.title = seen.join("; ");
    """
    # the policy of the page allows no scripts but its own, and this one
    allowed = b64encode(hashlib.sha256(acts.encode()).digest()).decode()
    text = page.read_text().replace("script-src ", f"script-src 'sha256-{allowed}' ", 1)
    page.write_text(text.replace("</body>", f"<script>{acts}</script></body>"))
    opened = subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'chromium'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    [seen] = re.findall("<title>(.*)</title>", opened.stdout)
    assert seen.split("; ") == [
        # of equal verdicts, the model of tier high comes first
        "bad-1 harmed-1 odd-2 odd-1 fine-1",
        "harmed-1 odd-1 bad-1 odd-2 fine-1",
        "odd-1 harmed-1 bad-1 odd-2 fine-1",
        "odd-1 odd-2",
        "bad-1",
        "harmed-1",
        "odd-2",
    ]


def test_old_pages_and_unfinished_files_are_removed_and_nothing_else(settings: Settings) -> None:
    kept_days = settings.reports.keep_days
    assert kept_days is not None
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    # name -> days since it was written
    ages = {
        "2020-01-01.html": kept_days + 1,
        "2020-01-01/a.html": kept_days + 9,
        "data_docs/2020-01-01-labels.html": kept_days + 1,
        ".2020-01-02.html.4711": settings.warehouse.file_grace_days + 1,
        # drawn again since, and its model has not changed
        "2020-01-03.html": kept_days,
        "2020-01-03/a.html": kept_days + 9,
        ".index.html.4712": settings.warehouse.file_grace_days,
        "index.html": kept_days + 9,
        "notes/mine.html": kept_days + 9,
        "mine-2020-01-01.html": kept_days + 9,
        ".hidden": kept_days + 9,
    }
    for name, age in ages.items():
        path = folder(settings) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        seconds = (now - timedelta(days=age)).timestamp()
        os.utime(path, (seconds, seconds))
    assert page_files.clean(settings, now=now, is_dry_run=True).page_count == 3
    removed = page_files.clean(settings, now=now)
    assert (removed.page_count, removed.unfinished_count) == (3, 1)
    left = {path.relative_to(folder(settings)).as_posix() for path in folder(settings).rglob("*") if path.is_file()}
    assert left == set([*ages][4:])
    assert not (folder(settings) / "2020-01-01").exists()


def test_the_index_of_a_fleet_stays_short(memory: Warehouse, settings: Settings) -> None:
    given_day(memory, {f"model-{number}": "well" for number in range(30)})
    text = render_index(memory, settings).read_text()
    assert text.count('<li class="verdict') == 12
    assert "Others: 18 well" in text


def test_the_auc_with_all_labels_is_that_of_the_view(memory: Warehouse, settings: Settings) -> None:
    generator = np.random.default_rng(5)
    binary: Row = {"model_id": "binary", "model_version": "v1", "deployment": "production", "segment": "all"}
    several = binary | {"model_id": "several"}
    for back in range(12):
        for version in (binary, several):
            known = version | {
                "prediction_on": TODAY - timedelta(days=back),
                "dt": TODAY - timedelta(days=max(back - 3, 0)),
            }
            insert(
                memory.connection,
                "prediction_profile",
                [version | {"dt": known["prediction_on"], "bin_id": 3, "row_count": 9, "score_sum": 1.0}],
            )
            for scored_class in (None,) if version is binary else ("x", "y", "rare"):
                table = "class_score_cohorts" if scored_class else "label_cohorts"
                # below the grid, above it, and ranges
                for bin_id in (1, 2, 5, 6, 9):
                    positives, negatives = (int(number) for number in generator.integers(0, 4, 2))
                    counts = {
                        "bin_id": bin_id,
                        "positive_count": 0 if scored_class == "rare" else positives,
                        "negative_count": negatives,
                    }
                    named = {"scored_class": scored_class} if scored_class else {"score_sum": 0.0}
                    insert(memory.connection, table, [known | named | counts])
            measured = {
                "statistic": "auc",
                "window_days": 28,
                "value": 0.5,
                "minimum_class_count": 10,
                "outcome": "measured",
            }
            insert(
                memory.connection, "model_quality", [{**version, "dt": known["prediction_on"], **measured, **QUALITY}]
            )
    drawn = {(row["model_id"], row["dt"]): row["all_labels_auc"] for row in quality_rows(memory, settings)}
    view = memory.sql("select model_id, dt, all_labels_auc from quality_history").to_pylist()
    expected = {(row["model_id"], row["dt"]): row["all_labels_auc"] for row in view}
    assert drawn == pytest.approx(expected, abs=1e-12)
    assert {name for (name, _), value in drawn.items() if value is not None} == {"binary", "several"}
    # the first days have too few labels
    assert None in drawn.values()


QUALITY: Row = {
    "label_count": 0,
    "prediction_count": 9,
    "coverage_share": 0.0,
    "positive_count": 0,
    "negative_count": 0,
}


def quality_rows(memory: Warehouse, settings: Settings) -> list[Row]:
    read = sections.read_sections(sections.Scope.of(memory, settings, TODAY))
    return [dict(row) for row in read["quality"]]


def test_a_sparkline_stays_in_its_frame_and_skips_days_without_a_value() -> None:
    rows = [
        {"dt": date(2024, 1, 1), "value": 0.5, "confidence_low": -9.0, "confidence_high": 9.0, "baseline_value": 0.6},
        {"dt": date(2024, 1, 3), "value": 0.7, "confidence_low": 0.4, "confidence_high": 0.8, "baseline_value": 0.6},
        {"dt": date(2024, 1, 4), "value": 0.6, "confidence_low": 0.4, "confidence_high": 0.8, "baseline_value": 0.6},
    ]
    drawn = sparkline(rows, date(2024, 1, 1), date(2024, 1, 4))
    # 0.8 to 0.4 are 1 to 27 from the top, and the line begins anew after the gap
    assert 'd="M0 20M80 8l40 6"' in drawn
    assert '<path class="base" d="M0 14h120"/>' in drawn
    assert 'class="band" d="M0 1l0 26zM80 1l40 0l0 26l-40 0z"' in drawn
