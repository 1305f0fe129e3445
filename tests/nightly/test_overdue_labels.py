"""Labels within their promise raise no alert, and labels that stopped do, by the default rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from data import GROUP, TRAINING_RUN, day, insert

from driftlake.alerts.rules import fired
from driftlake.config.alerts import default_alerts
from driftlake.lake.warehouse import Warehouse

LAST = 40
STOPPED = 30
DAILY = 200
# Days after their prediction on which the labels of a day come.
Delays = Callable[[int, np.random.Generator], np.ndarray]


def within_the_curve(_: int, generator: np.random.Generator) -> np.ndarray:
    """Half within 2 days, 95 % within 5, all within 12."""
    return generator.choice([0, 1, 2, 3, 4, 5, 8, 12], DAILY, p=[0.1, 0.2, 0.2, 0.15, 0.15, 0.15, 0.03, 0.02])


def all_by_the_95th_percentile(_: int, generator: np.random.Generator) -> np.ndarray:
    return generator.choice([2, 5], DAILY)


def after_two_days(_: int, generator: np.random.Generator) -> np.ndarray:
    return np.full(DAILY, 2)


def in_weekly_batches(predicted: int, _: np.random.Generator) -> np.ndarray:
    """On days 7, 14 and so on come the labels of the seven days before."""
    return np.full(DAILY, 7 - predicted % 7)


def severities(
    memory: Warehouse,
    delays: Delays,
    *,
    stopped: int = 1000,
    daily: int = DAILY,
    promised: Mapping[str, float] | None = None,
) -> dict[int, str]:
    """Severity by day of what the default rules raise; from day `stopped` on no label comes."""
    generator = np.random.default_rng(1)
    promise = dict(zip(("p50", "p95", "max"), (2.0, 5.0, 12.0), strict=True)) | dict(promised or {})
    insert(
        memory.connection,
        "training_runs",
        [TRAINING_RUN | {f"label_delay_{point}_days": days for point, days in promise.items()}],
    )
    cohort = GROUP | {"bin_id": 1, "score_sum": 1.0}
    for predicted in range(1, LAST + 1):
        insert(memory.connection, "prediction_profile", [cohort | {"dt": day(predicted), "row_count": daily}])
        known, counts = np.unique(predicted + delays(predicted, generator)[:daily], return_counts=True)
        insert(
            memory.connection,
            "label_cohorts",
            [
                cohort
                | {"dt": day(int(on)), "prediction_on": day(predicted)}
                | {"positive_count": int(count), "negative_count": 0}
                for on, count in zip(known, counts, strict=True)
                if on < stopped
            ],
        )
    found = memory.query("quality/label_backlog", first_day=day(1), last_day=day(LAST), horizon_days=60)
    with memory.registered(found=found):
        memory.connection.execute("insert into label_backlog by name from found")
    raised = fired(memory, default_alerts(), first_day=day(1), last_day=day(LAST)).to_pylist()
    return {(row["dt"] - day(0)).days: row["severity"] for row in raised if row["rule"] == "labels-overdue"}


@pytest.mark.parametrize(
    ("delays", "promised"),
    [
        (within_the_curve, {}),
        (all_by_the_95th_percentile, {}),
        (after_two_days, {}),
        (in_weekly_batches, {"p50": 4.0, "p95": 7.0}),
    ],
)
def test_labels_within_their_promise_raise_nothing(
    memory: Warehouse, delays: Delays, promised: dict[str, float]
) -> None:
    assert severities(memory, delays, promised=promised) == {}


@pytest.mark.parametrize(
    ("delays", "promised", "first_overdue"),
    [
        # the predictions of day 28 would have had their labels on day 30, and are 5 days old on day 33
        (after_two_days, {}, 33),
        (after_two_days, {"max": 55.0}, 33),
        # those of day 28, in the batch of day 35, are 7 days old on that day
        (in_weekly_batches, {"p50": 4.0, "p95": 7.0}, 35),
    ],
)
def test_labels_that_stopped_are_critical_the_day_after_their_promise_passed(
    memory: Warehouse, delays: Delays, promised: dict[str, float], first_overdue: int
) -> None:
    expected = dict.fromkeys(range(first_overdue + 1, LAST + 1), "critical")
    assert severities(memory, delays, stopped=STOPPED, promised=promised) == expected


def test_one_day_without_labels_is_within_the_noise_of_the_promise(memory: Warehouse) -> None:
    assert (
        severities(memory, lambda predicted, _: np.full(DAILY, 12 if predicted == 20 else 2), promised={"max": 12.5})
        == {}
    )


def test_few_predictions_raise_nothing(memory: Warehouse) -> None:
    assert severities(memory, after_two_days, stopped=1, daily=10) == {}
