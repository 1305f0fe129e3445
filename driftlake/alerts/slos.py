"""Service level objectives: good and total events per day, error budgets and burn rates, as rows of slo_status.

Derived from result tables alone, so any day can be computed again and gives the same rows. Not here: the settings
(`driftlake.config`) and the queries (sql/alerts/slo_events.sql, sql/alerts/slo_status.sql).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from driftlake.config import Settings, SloSettings
from driftlake.lake.warehouse import Warehouse

# The longest window of burn rates, in days.
LONGEST_BURN_DAYS = 28
# The expected number of predictions is learned from the same weekdays within this many days.
EXPECTED_FROM_DAYS = 28


def reach_days(settings: Settings) -> Mapping[str, int]:
    """By stage, how many days before its own the objectives of a day read."""
    if not settings.slos:
        return {}
    longest = max(LONGEST_BURN_DAYS, *(slo.period_days for slo in settings.slos)) - 1
    label_wait_days = max(slo.within_days or 0 for slo in settings.slos)
    return {
        "profiles": longest + max(EXPECTED_FROM_DAYS, label_wait_days),
        "label_cohorts": longest + label_wait_days,
        "drift": longest,
        "model_quality": longest,
    }


def measure(warehouse: Warehouse, settings: Settings, *, first_day: date, last_day: date) -> pa.Table:
    """Rows of slo_status for every day from `first_day` to `last_day`."""
    longest = max(LONGEST_BURN_DAYS, *(slo.period_days for slo in settings.slos), 0) - 1
    with warehouse.registered(slos=_rows(settings)):
        events = warehouse.query("alerts/slo_events", first_day=first_day - timedelta(days=longest), last_day=last_day)
        with warehouse.registered(slo_days=events):
            return warehouse.query("alerts/slo_status", first_day=first_day, last_day=last_day)


def _rows(settings: Settings) -> pa.Table:
    return pa.Table.from_pylist([_row(slo, settings) for slo in settings.slos], schema=_SCHEMA)


def _row(slo: SloSettings, settings: Settings) -> dict[str, Any]:
    headline = {
        "quality": settings.quality.headline_window_days,
        "drift_share": settings.drift.headline_window_days,
    }
    return {
        **slo.model_dump(exclude={"model"}),
        "model_id": slo.model,
        "metric": slo.metric or "latency_ms",
        "statistic": slo.statistic or {"quality": "auc", "drift_share": "psi"}.get(slo.sli),
        "window_days": slo.window_days or headline.get(slo.sli),
    }


_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("model_id", pa.string()),
        ("deployments", pa.list_(pa.string())),
        ("sli", pa.string()),
        ("objective", pa.float64()),
        ("period_days", pa.int32()),
        ("metric", pa.string()),
        ("under_ms", pa.float64()),
        ("statistic", pa.string()),
        ("tolerance", pa.float64()),
        ("window_days", pa.int32()),
        ("within_days", pa.int32()),
        ("features", pa.list_(pa.string())),
    ]
)
