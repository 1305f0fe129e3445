"""The evaluation of verdicts (`bench.decisions`): performance with all labels, and missed criteria. Not here: the verdicts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bench.decisions import ExpectedVerdict, Page, Story, found_within, judge, judge_rule
from bench.performance_with_all_labels import auc, beyond_three_deviations, clustered_auc, first_knowable, runs
from bench.scenarios import relabelled

FIRST = date(2024, 1, 1)
FAULT = FIRST + timedelta(days=5)
BROKEN = ExpectedVerdict("broken", FAULT, FAULT, FAULT + timedelta(days=2))


def story(verdicts: str, *pages: tuple[int, str]) -> Story:
    """A verdict a day by its first letter (b is broken), and pages by day and kind."""
    names = {name[0]: name for name in ("quiet", "harmed", "broken")} | {"q": "well"}
    return Story(
        {FIRST + timedelta(days=place): names[letter] for place, letter in enumerate(verdicts)},
        [Page(FIRST + timedelta(days=on), kind, "cause", "title", FIRST) for on, kind in pages],
    )


@given(st.lists(st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_labels_of_real_cases_follow_other_probabilities_and_few_change(
    weights: list[tuple[float, float]], seed: int
) -> None:
    generator, count = np.random.default_rng(seed), 4000
    before, after = (np.array(side) / sum(side) for side in zip(*weights, strict=True))
    labels = generator.choice(len(before), count, p=before)
    found = relabelled(labels, np.tile(before, (count, 1)), np.tile(after, (count, 1)), generator)
    assert np.bincount(found, minlength=len(after)) / count == pytest.approx(after, abs=0.05)
    assert (found != labels).mean() == pytest.approx(np.abs(after - before).sum() / 2, abs=0.05)


def test_the_auc_of_counts_is_that_of_rows() -> None:
    generator = np.random.default_rng(3)
    bins, labels = generator.integers(0, 20, 500), generator.integers(0, 2, 500)
    counts = [np.bincount(bins[labels == label], minlength=20).astype(float) for label in (1, 0)]
    assert auc(*counts) == pytest.approx(roc_auc_score(labels, bins))


def test_the_interval_of_days_that_differ_is_that_of_days_and_not_of_rows() -> None:
    # days of 10,000 rows whose AUC is 0.6 or 0.8 in turns: their mean is known no better than that of ten draws
    good, bad = (np.array([share, 1 - share]) * 5_000 for share in (0.8, 0.6))
    positives = np.array([good if day % 2 else bad for day in range(10)])[:, ::-1]
    negatives = positives[:, ::-1]
    found = clustered_auc(positives, negatives)
    assert found.value == pytest.approx(0.7)
    assert found.high - found.value == pytest.approx(1.96 * 0.1 / 3, rel=0.05)


def test_a_loss_is_knowable_when_its_labels_have_come_and_not_before() -> None:
    losses = np.array([0.01, -0.01] * 10 + [0.1] * 5)
    assert first_knowable(losses, np.arange(25) + 3, 20, 0.02) == 23


def test_a_loss_within_the_tolerance_is_never_knowable() -> None:
    losses = np.array([0.01, -0.01] * 10 + [0.02] * 5)
    assert first_knowable(losses, np.arange(25), 20, 0.02) is None


def test_three_deviations_are_those_of_the_reference_period() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.9, 5.1, np.nan])
    assert beyond_three_deviations(values, 3).tolist() == [False, False, False, False, True, False]


def test_a_run_of_flagged_days_is_one_page() -> None:
    assert runs([True, True, False, True]) == [(0, 1), (3, 3)]


def test_days_are_found_by_a_later_day_only() -> None:
    assert found_within([FIRST, FAULT], {FIRST + timedelta(days=4)}, 4) == 1


@pytest.mark.parametrize(
    ("history", "failed"),
    [
        (story("qqqqqbb", (5, "break")), []),
        (story("qqqqqbb", (4, "harm"), (5, "break")), ["1 false pages before"]),
        (story("qqqqqbb", (5, "break"), (6, "harm")), ["2 pages, not one"]),
        (story("qqqqqhb", (5, "harm")), ["pages for harm"]),
        (story("qqqqqqqqqb", (9, "break")), ["2 days late"]),
        (story("qqqqqqqq", (5, "break")), ["never broken"]),
    ],
)
def test_a_break_must_be_found_in_time_by_one_page_of_its_kind(history: Story, failed: list[str]) -> None:
    assert judge(history, BROKEN).failed == failed


def test_a_healthy_model_is_well_on_nine_days_of_ten_and_never_pages() -> None:
    assert not judge(story("q" * 9 + "h"), ExpectedVerdict("well")).failed
    assert judge(story("q" * 8 + "hh", (8, "harm")), ExpectedVerdict("well")).failed == [
        "1 pages",
        "quiet on 80% of days",
    ]


def test_a_rule_that_flags_days_pages_once_a_run() -> None:
    judged = judge_rule("PSI", FIRST, [True, False, False, False, False, True, True, False], BROKEN)
    assert (judged.pages_before, judged.pages_after, judged.delay_days) == (1, 1, 0)
    assert judged.failed == ["1 false pages"]
