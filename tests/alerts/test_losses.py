"""A loss of performance is split over bins of the score, and reported parts far exceed the differences of days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, MODEL, Row, insert
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]  # it has no stubs

from driftlake.alerts.causes import CAUSES
from driftlake.alerts.losses import evidence
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.loss_parts import auc_loss, error_loss

FIRST, LOST_ON = date(2024, 3, 1), date(2024, 4, 10)
BINS = 20
CENTRES = (np.arange(BINS) + 0.5) / BINS


@given(st.integers(0, 2**32 - 1))
def test_the_parts_of_a_loss_of_auc_are_the_differences_of_three_aucs(seed: int) -> None:
    generator = np.random.default_rng(seed)
    before, after = (generator.integers(1, 40, (days, 1, BINS, 2)).astype(float) for days in (20, 9))
    loss = auc_loss(before, after)

    def auc(positives: Any, negatives: Any) -> float:
        return float(
            roc_auc_score(
                np.repeat([1, 0], BINS),
                np.tile(np.arange(BINS), 2),
                sample_weight=np.concatenate([positives, negatives]),
            )
        )

    was, now = before.sum(axis=(0, 1)), after.sum(axis=(0, 1))
    rate = was[:, 0] / was.sum(axis=1)
    mixed = auc(now.sum(axis=1) * rate, now.sum(axis=1) * (1 - rate))
    assert loss.whole.value == pytest.approx(auc(*was.T) - auc(*now.T))
    assert loss.mix.value == pytest.approx(auc(*was.T) - mixed)
    assert loss.within.value == pytest.approx(mixed - auc(*now.T))


def test_errors_that_grow_in_every_bin_are_not_due_to_the_mix() -> None:
    before = np.ones((20, 1, BINS, 2))
    after = before * [1.5, 1]
    loss = error_loss(before, after)
    assert (loss.whole.value, loss.mix.value, loss.within.value) == pytest.approx((0.5, 0, 0.5))


def test_standard_errors_cover_the_differences_of_days() -> None:
    generator = np.random.default_rng(5)
    losses = [auc_loss(days_of(generator, 40), days_of(generator, 12, mix=0.3, within=0.3)) for _ in range(100)]
    for parts in ([loss.mix for loss in losses], [loss.within for loss in losses]):
        spread = np.std([part.value for part in parts])
        assert np.mean([part.standard_error for part in parts]) == pytest.approx(spread, rel=0.25)


def days_of(generator: np.random.Generator, days: int, *, mix: float = 0, within: float = 0, rows: int = 400) -> Any:
    """Counts of days that differ a little: scores as far from one half as `mix` leaves them, labels as `within` leaves them."""
    held = np.zeros((days, 1, BINS, 2))
    for day in range(days):
        scores = 0.5 + (1 - mix) * (generator.beta(1.2, 1.2, rows) - 0.5)
        slope = generator.normal(1, 0.05) * (1 - within)
        positive = generator.random(rows) < 0.5 + slope * (scores - 0.5)
        np.add.at(held[day, 0], ((scores * BINS).astype(int), (~positive).astype(int)), 1)
    return held


def counts_of(segments: dict[str, Any]) -> pa.Table:
    """Rows of sql/causes/loss_parts.sql of some segments and of all together."""
    rows = []
    for segment, held in (segments | {"all": sum(segments.values())}).items():
        for place, part in np.ndindex(len(held), BINS):
            positives, negatives = held[place, 0, part]
            rows.append(
                {"segment": segment, "prediction_on": FIRST + timedelta(days=place), "part": part}
                | {"positive_count": positives, "negative_count": negatives, "label_count": positives + negatives}
            )
    known = {"incident_id": "i", "known_on": date(2024, 4, 22), "statistic": "auc", "lost_on": LOST_ON}
    named = known | {"scored_class": "", "error_sum": None}
    return pa.Table.from_pylist([named | row for row in rows])


@pytest.mark.parametrize(
    ("changes", "causes"),
    [
        ((0, 0), []),
        ((0.5, 0), ["harder_cases"]),
        ((0, 0.5), ["quality_loss"]),
    ],
)
def test_a_simulated_loss_has_the_simulated_cause(changes: tuple[float, float], causes: list[str]) -> None:
    generator = np.random.default_rng(1)
    mix, within = changes
    segments = {
        f"country={name}": np.concatenate([days_of(generator, 40), days_of(generator, 12, mix=mix, within=within)])
        for name in "abc"
    }
    assert [row["cause"] for row in evidence(counts_of(segments), 5)] == causes


def test_a_loss_in_one_segment_names_the_segment() -> None:
    generator = np.random.default_rng(2)
    segments = {
        f"country={name}": np.concatenate([days_of(generator, 40), days_of(generator, 12, within=0.8 * (name == "b"))])
        for name in "abc"
    }
    found = {row["cause"]: row for row in evidence(counts_of(segments), 5)}
    assert found.keys() == {"quality_loss", "one_segment"}
    assert (found["one_segment"]["subject"], round(found["one_segment"]["row_share"], 2)) == ("country=b", 0.33)


def test_few_days_give_no_cause() -> None:
    generator = np.random.default_rng(1)
    held = np.concatenate([days_of(generator, 40), days_of(generator, 4, within=0.9)])
    assert evidence(counts_of({"country=a": held}), 5) == []


# --- the counts of each statistic ---

LAST = LOST_ON + timedelta(days=11)
# Of 100 labels in each bin of a day; in the upper half of the scores eight more are wrong since the loss.
NO_SUMS = {"score_sum": 0, "positive_count": 0, "negative_count": 0}


def decisions_at_a_cut(wrong: int) -> tuple[str, Row]:
    decided = {"positive_count": 50, "negative_count": 50, "true_positive_count": 50 - wrong, "false_positive_count": 0}
    return "label_cohorts", NO_SUMS | decided


def decisions_of_a_class(wrong: int) -> tuple[str, Row]:
    decided = {"right_count": 100 - wrong, "wrong_count": wrong}
    return "class_score_cohorts", {"scored_class": "bus", "positive_count": 400, "negative_count": 600} | decided


def errors_of_a_regression(wrong: int) -> tuple[str, Row]:
    return "label_cohorts", NO_SUMS | {"number_count": 100, "absolute_error_sum": wrong}


@pytest.mark.parametrize(
    ("statistic", "counted", "meaning"),
    [
        ("accuracy", decisions_at_a_cut, "predictions with equal scores are wrong more often than before"),
        ("accuracy", decisions_of_a_class, "predictions with equal scores are wrong more often than before"),
        ("mean_absolute_error", errors_of_a_regression, "errors are larger than before where predictions are equal"),
    ],
)
def test_the_sentence_on_a_loss_names_its_statistic(
    memory: Warehouse, statistic: str, counted: Any, meaning: str
) -> None:
    alert = GROUP | {"incident_id": "i", "signal": "performance.loss_evidence", "feature": statistic}
    days = {"opened_on": LAST, "until_on": LAST}
    tested = {"dt": LAST, "statistic": statistic, "basis": "combined", "window_days": 28, "loss_since_on": LOST_ON}
    counts = {"day_count": 28, "labelled_day_count": 28, "label_count": 56_000}
    insert(memory.connection, "performance", [MODEL | {"deployment": "production"} | tested | counts])
    for number in range((LAST - FIRST).days + 1):
        on = FIRST + timedelta(days=number)
        for bin_id in range(3, 3 + BINS):
            table, row = counted(10 + number % 3 + 8 * (on >= LOST_ON and bin_id > 12))
            insert(memory.connection, table, [GROUP | {"dt": on, "prediction_on": on, "bin_id": bin_id} | row])
    with memory.registered(incident_alerts=pa.Table.from_pylist([alert | days])):
        [found] = evidence(memory.query("causes/loss_parts"), 5)
    [cause] = [each for each in CAUSES if each.name == found["cause"] and each.query == "loss_parts"]
    assert meaning in cause.sentence.format(**found)
    assert float(found["lost"]) == pytest.approx(0.04, abs=0.001)
