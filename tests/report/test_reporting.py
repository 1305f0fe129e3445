"""Pages show the results, run no foreign scripts, make no requests, and are reproducible."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import GROUP, MODEL, Row, day, insert, write_project
from drifted_week import CONTROLS, DAYS, MARKUP, MISSING_DAY, REFUSED_DAY, Project, process
from verdict_inputs import ALERT, FACTS, RUNS

from driftlake.config import DriftSettings, default_alerts, signal_of
from driftlake.report import charts, distributions, verdicts
from driftlake.report.pages import ReportError, render_day, render_index
from driftlake.report.summary import summarize
from driftlake.report.verdicts import MeasuredWindows
from driftlake.vocabulary.wording import in_unit, percent, printable


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    processed = process(tmp_path_factory.mktemp("project"))
    yield processed
    processed.warehouse.connection.close()


@pytest.fixture(scope="module")
def page(project) -> str:
    """The page of the last day."""
    return project.page()


def test_a_page_says_what_is_wrong_with_a_model_and_who_to_ask(page):
    # drift alone does not page
    assert "watch" in page
    assert "needs attention" not in page
    assert "1 feature drifted over 7 days (worst: income, PSI" in page
    assert "income of credit v1 (production) drifted from training" in page
    assert "Owner: risk team." in page
    assert '<a href="../docs/drift.md">Runbook</a>' in page
    assert "run-of-the-test" in page


def test_incidents_come_with_their_alerts_and_the_query_that_shows_them(page):
    assert page.count('class="incident"') == 1
    assert "<summary>1 alert of feature-drift</summary>" in page
    assert "driftlake sql &#34;from drift_between(&#39;credit&#39;, &#39;v1&#39;" in page


def test_the_runbooks_are_beside_the_pages(project):
    folder = render_index(project.warehouse, project.settings).parent
    page = (folder / "runbooks.html").read_text()
    assert all(f'id="{rule.name}"' in page for rule in default_alerts())


def test_the_same_tables_give_the_same_bytes(project, page):
    assert project.page() == page


def test_markup_in_data_stays_text(page):
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") > 2
    # in the rows of the heatmap, and as a category of the distribution
    assert f'"{MARKUP}"'.replace("<", "\\u003c") in page
    assert "\\u003cimg src=" in page


def test_control_characters_in_data_are_written_out(project):
    page = project.page()
    assert not set("\x1b\x00\uffff\u202e\u2028") & set(page)
    # a label that is too long is cut
    assert "a\\\\x1b[31m" in page
    stored = project.warehouse.sql("select category from feature_categories where feature = ?", [MARKUP])
    assert CONTROLS in stored["category"].to_pylist()


def test_a_chart_that_cannot_be_drawn_is_replaced_by_a_sentence(project, monkeypatch):
    whole = project.page()
    monkeypatch.setattr(charts, "density_steps", lambda _: 1 / 0)
    page = project.page()
    assert "This chart could not be drawn (ZeroDivisionError: division by zero)." in page
    assert 0 < page.count('class="chart"') < whole.count('class="chart"')


def test_a_day_without_telemetry_is_not_judged(project):
    assert "Telemetry missing: no telemetry file for the day." in project.page(MISSING_DAY)
    assert "not judged" in project.page(MISSING_DAY)


def test_a_refused_file_is_named(project):
    page = project.page(REFUSED_DAY)
    assert "Telemetry refused:" in page
    assert "file_is_readable" in page


def test_a_model_without_labels_says_so(tmp_path):
    project = process(tmp_path, has_labels=False)
    with project.warehouse:
        page = project.page()
    assert "no labels are configured, so its quality is not known" in page
    assert "No labels are configured, so the quality of the models is not known." in page


def test_a_project_without_its_former_labels_still_has_pages(project):
    settings = project.settings.model_copy(update={"labels": None})
    page = render_day(project.warehouse, settings, day(DAYS)).read_text()
    assert "have no label yet" not in page


def test_a_day_that_was_not_processed_has_no_page(project):
    with pytest.raises(ReportError, match="nothing was processed for 2024-03-31") as caught:
        project.page(31)
    assert "driftlake backfill --from 2024-03-31" in str(caught.value.hint)


def test_the_index_links_the_pages_that_are_there(project):
    written = {path.name for path in map(Path, [render_day(project.warehouse, project.settings, day(2))])}
    index = render_index(project.warehouse, project.settings)
    linked = set(re.findall(r'href="(2024-\d\d-\d\d\.html)"', index.read_text()))
    assert written <= linked
    assert linked == {path.name for path in index.parent.glob("2024-*.html")}


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium to open a page with")
@pytest.mark.parametrize("name", ["day", "index"])
def test_a_browser_opens_a_page_without_errors_or_requests(project, tmp_path, name):
    path = render_day(project.warehouse, project.settings, day(DAYS))
    if name == "index":
        path = render_index(project.warehouse, project.settings)
    opened = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"),
            *(f"--user-data-dir={tmp_path}", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "</html>" in opened.stdout
    # a script that ran, or a resource that the policy of the page forbids, leaves such a line
    assert "CONSOLE" not in opened.stderr
    assert "default-src 'none'" in opened.stdout
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//|@import|url\((?!#)", path.read_text())


# Charts


def numeric_bins(counts: list[tuple[float, float, int, int]], *, missing: int = 0) -> list[Row]:
    """Rows of sql/report/distributions.sql: (lower, upper, training rows, production rows) per range."""
    kind: Row = {"feature_kind": "numeric", "grid_transform": "linear", "grid_scale": 1.0}
    special = {"bin_kind": "missing", "label": "missing", "reference_count": 0, "current_count": missing}
    ranges = [
        {"bin_kind": "range", "label": "", "lower": low, "upper": high, "reference_count": old, "current_count": new}
        for low, high, old, new in counts
    ]
    return [kind | row for row in (special, *ranges)]


def test_the_area_of_a_density_is_its_share_of_the_rows():
    # the second range is three times as wide and holds three times as much, so it is as high
    steps = distributions.density_steps(numeric_bins([(0, 10, 25, 10), (10, 40, 75, 40)], missing=50))
    assert steps.borders == (0, 10, 40)
    assert steps.training[0] == pytest.approx(steps.training[1])
    widths = np.diff(steps.borders) / steps.step
    assert sum(widths * steps.training) == pytest.approx(1)
    assert sum(widths * steps.production) == pytest.approx(0.5)


def test_a_single_value_is_drawn_a_step_wide():
    # 0 alone holds 90 % in a range of a thousandth; its neighbour is drawn with it
    steps = distributions.density_steps(numeric_bins([(0, 0.001, 90, 90), (0.001, 1, 5, 5), (1, 10, 5, 5)]))
    assert steps.borders == (0, 1, 10)


def test_borders_far_from_zero_stay_apart_in_a_chart():
    borders = [1.7e9 + 3_600.0 * hour for hour in range(24)]
    assert [charts._value(border) for border in borders] == borders


def test_categories_beyond_the_twelfth_are_summed_up():
    rows = [
        {"bin_kind": "category", "label": name, "reference_count": count, "current_count": 1}
        for name, count in zip("abcdefghijklmno", range(150, 0, -10), strict=True)
    ]
    bars = distributions.category_bars(rows)
    assert [bar["label"] for bar in bars] == [*"abcdefghijkl", "(3 others)"]
    assert sum(bar["training"] for bar in bars) == pytest.approx(1)


def test_a_category_of_few_rows_is_not_named():
    counts = {"a": (500, 400), "b": (500, 9), "c": (9, 400), "d": (500, 0), "e": (500, 10)}
    rows = [
        {"bin_kind": "category", "label": name, "reference_count": reference, "current_count": current}
        for name, (reference, current) in counts.items()
    ]
    bars = distributions.category_bars(rows, smallest_cell=10)
    assert [bar["label"] for bar in bars] == ["a", "d", "e", "(2 others)"]
    assert sum(bar["production"] for bar in bars) == pytest.approx(1)


def test_a_segment_and_a_combination_of_few_rows_are_not_named(memory):
    alert = {
        "rule": "r",
        "signal": "psi",
        "severity": "warn",
        "value": 1.0,
        "threshold": 0.5,
        "since_on": day(1),
        "consecutive_days": 1,
    }
    for count in (9, 10):
        named = {"segment": f"city=of{count}", "message": f"credit v1, city=of{count}, drifts", "sample_count": count}
        insert(memory.connection, "alerts", [MODEL | {"dt": day(1), "deployment": "production"} | alert | named])
        pair = {
            "feature_a": "city",
            "label_a": f"of{count}",
            "bin_a": 3,
            "feature_b": "x",
            "label_b": "low",
            "bin_b": 4,
        }
        of_pair = {"current_size": 99, "reference_count": 0, "reference_size": 99, "expected_count": 0.1}
        rare = pair | of_pair | {"p_value": 0.0, "q_value": 0.0, "window_days": 7, "current_count": count}
        insert(memory.connection, "rare_combinations", [MODEL | {"dt": day(1), "deployment": "production"} | rare])
    combinations = memory.query("report/rare_combinations", day=day(1), window_days=7, smallest_cell=10)
    assert combinations["label_a"].to_pylist() == ["of10"]
    alerts = memory.query("report/alerts", day=day(1), smallest_cell=10).to_pylist()
    assert sorted((row["segment"], row["message"]) for row in alerts) == [
        ("city=of10", "credit v1, city=of10, drifts"),
        ("city=other", "credit v1, city=other, drifts"),
    ]


# Verdicts


def judged(facts: Row | None = None, alerts: list[Row] | None = None, runs: dict[str, Any] = RUNS) -> verdicts.Verdict:
    windows = MeasuredWindows(drift_days=7, quality_days=28, has_labels=True)
    return verdicts.judge(FACTS | (facts or {}), alerts or [], runs, windows)


@pytest.mark.parametrize(
    "run",
    [
        {"outcome": "failed", "reason": "ValueError"},
        {"outcome": "partial", "reason": "98 % of the day is counted; credit v0, credit v1 are left out: ValueError"},
    ],
)
def test_a_version_that_a_stage_left_out_is_not_judged(run):
    assert judged(runs=RUNS | {"drift": run}).kind == "unjudged"


def test_a_version_is_judged_although_another_is_left_out():
    reason = "credit v10 is left out: ValueError; a feature of credit v1 was refused"
    assert judged(runs=RUNS | {"drift": {"outcome": "partial", "reason": reason}}) == judged()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext, \u4e2d\u6587, \U0001f600", "plain\n\ttext, \u4e2d\u6587, \U0001f600"),
        ("\x1b]0;title\x07\r", "\\x1b]0;title\\x07\\r"),
        ("\u202egnp\u2066", "\\u202egnp\\u2066"),
        ("\ud800", "\\ud800"),
    ],
)
def test_terminal_escape_codes_are_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(("verdict", "kind"), [("well", "fine"), ("watch", "watch"), ("blind", "attention")])
def test_a_page_has_the_stored_verdict_and_other_findings(verdict, kind):
    found = judged({"verdict": verdict})
    assert (found.word, found.kind) == (verdict, kind)
    assert found.reasons == (
        "No alert is open. No feature drifted over 7 days, AUC 0.800 over 28 days, 0.010 above its baseline, labels on time."
    )


def test_the_performance_that_decided_is_mentioned_once():
    found = judged({"verdict_sentence": "AUC 0.790 over 28 days.", "is_performance_mentioned": True})
    assert found.reasons == "AUC 0.790 over 28 days. No feature drifted over 7 days, labels on time."


@pytest.mark.parametrize(
    ("alert", "is_told"),
    [
        ({}, True),
        ({"model_version": "v2"}, False),
        ({"deployment": "shadow"}, False),
        # a broken contract is about the version, whatever its deployment; a broken file about every model
        ({"deployment": None}, True),
        ({"model_id": None, "model_version": None, "deployment": None}, True),
    ],
)
def test_a_verdict_mentions_the_alerts_about_the_version(alert, is_told):
    found = judged(alerts=[ALERT | {"signal": "contract_checks.failed"} | alert])
    assert ("1 contract check failed" in found.reasons) is is_told


def test_a_day_without_a_stored_verdict_is_not_judged():
    assert judged({"verdict": None}).kind == "unjudged"
    assert judged(runs={"profiles": {"outcome": "complete"}}).kind == "unjudged"


# Numbers and windows

DRIFT: Row = GROUP | {
    "dt": day(1),
    "feature": "income",
    "reference": "training",
    "statistic": "psi",
    "value": 0.3,
    "noise_floor": 0.01,
    "current_count": 1000,
    "current_day_count": 1,
    "reference_count": 5000,
    "outcome": "drift",
}


@pytest.mark.parametrize(
    ("signal", "value", "text"),
    [
        ("feature_drift.psi", 0.3014, "0.301"),
        ("feature_drift.missing_rate_change", 0.123, "12.3 percentage points"),
        ("label_backlog.overdue_share", 0.123, "12.3%"),
        ("service_levels.p95_ms", 1234.0, "1,234 ms"),
        ("contract_checks.failed", 2.0, "2"),
    ],
)
def test_a_signal_is_written_in_its_unit(signal, value, text):
    assert in_unit(value, signal_of(signal).unit) == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0.0%"), (0.0004, "<0.1%"), (0.001, "0.1%"), (1.0, "100.0%")])
def test_a_small_share_is_not_called_zero(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(("windows", "headline"), [((1, 7, 28), 7), ((1, 14), 1), ((5, 9), 5), ((14, 30), 14)])
def test_the_headline_window_of_drift_is_nearest_to_a_week(windows, headline):
    assert DriftSettings(windows_days=windows).headline_window_days == headline


def test_the_summary_speaks_of_a_window_that_is_measured(tmp_path, memory):
    settings = write_project(tmp_path, features=["income"], training={"income": [1.0]}, drift={"windows_days": [1, 14]})
    insert(memory.connection, "feature_drift", [DRIFT | {"window_days": days} for days in (1, 14)])
    lines = dict(summarize(memory, settings, day(1), day(1)))
    assert lines["drifted features"] == "1 of 1 over 1 day"


def test_the_summary_names_the_versions_that_page(tmp_path, memory):
    settings = write_project(tmp_path, features=["income"], training={"income": [1.0]})
    verdicts = {"a": "well", "b": "broken", "c": "well"}
    rows = [
        MODEL | {"deployment": "production", "dt": day(1), "model_id": model_id, "verdict": verdict, "sentence": "-"}
        for model_id, verdict in verdicts.items()
    ]
    insert(memory.connection, "model_verdicts", rows)
    lines = dict(summarize(memory, settings, day(1), day(1)))
    assert lines["verdicts"] == "1 broken: b v1 (production); 2 well"


def test_a_second_reference_or_a_segment_counts_no_feature_twice(memory):
    others = [{}, {"reference": "last month"}, {"segment": "channel=web"}]
    insert(memory.connection, "feature_drift", [DRIFT | {"window_days": 7} | other for other in others])
    insert(
        memory.connection,
        "prediction_profile",
        [GROUP | {"dt": day(1), "bin_id": 3, "row_count": 10, "score_sum": 1.5}],
    )
    facts = memory.query("report/models", day=day(1), recent_days=28, drift_window_days=7, quality_window_days=28)
    assert facts["feature_count"].to_pylist() == [1]
    assert memory.query("report/features", day=day(1), window_days=7).num_rows == 1
    summary = memory.query("report/summary", first_day=day(1), last_day=day(1), window_days=7)
    assert summary["drifted_count"].to_pylist() == [1]


def test_drift_alone_gives_the_verdict_watch(project):
    rows = project.warehouse.query("report/verdicts", day=day(REFUSED_DAY - 2)).to_pylist()
    assert {row["verdict"] for row in rows} <= {"watch", "well"}
    assert all(row["sentence"] for row in rows)
    assert rows


def test_the_metadata_of_a_day_count_verdicts_and_quote_those_that_page(memory):
    row = MODEL | {"deployment": "production", "dt": day(1), "verdict": "well", "sentence": "No alert is open."}
    others = [{"model_id": "churn"}, {"model_id": "fraud", "verdict": "broken", "sentence": "income is missing."}]
    insert(memory.connection, "model_verdicts", [row, *(row | other for other in others)])
    [reported] = memory.query("highlights/alerts", first_day=day(1), last_day=day(2)).to_pylist()
    assert reported == {
        "dt": day(1),
        "critical_alerts": 0,
        "warnings": 0,
        "verdicts": "1 broken, 2 well",
        "to_act_on": "fraud v1 (production) is broken: income is missing.",
    }
