"""What a run of some days came to, as the few lines a person reads after it."""

from __future__ import annotations

from datetime import date

from driftlake.config import Settings
from driftlake.warehouse import Warehouse


def summarize(warehouse: Warehouse, settings: Settings, first_day: date, last_day: date) -> list[tuple[str, str]]:
    """Name and value of each line; the last day stands for drift, alerts, backlog and quality."""
    facts = warehouse.query("summary", first_day=first_day, last_day=last_day).to_pylist()[0]
    backlog = f"{facts['outstanding_count']:,} predictions without a label" if facts["outstanding_count"] else "none"
    if facts["overdue_count"]:
        backlog += f", {facts['overdue_count']:,.0f} of them overdue"
    page = f"{settings.resolve(settings.reports.path)}/{last_day}.html"
    return [
        ("days processed", f"{facts['day_count']} ({first_day} to {last_day})"),
        ("rows", f"{facts['row_count']:,}"),
        ("drifted features", f"{facts['drifted_count']} of {facts['feature_count']} over 7 days"),
        ("open alerts", f"{facts['critical_count']} critical, {facts['warn_count']} warn"),
        ("label backlog", backlog),
        ("rolling AUC", _quality(warehouse, last_day)),
        ("report", page),
        ("warehouse", str(settings.catalog_file)),
    ]


def _quality(warehouse: Warehouse, day: date) -> str:
    rows = warehouse.sql(
        "select model_id, model_version, deployment, window_days, value, confidence_low, confidence_high, reason"
        " from model_quality where dt = ? and statistic = 'auc' and segment = 'all'"
        " qualify window_days = max(window_days) over () order by deployment, model_id, model_version",
        [day],
    ).to_pylist()
    return (
        "; ".join(
            f"{row['model_id']} {row['model_version']} ({row['deployment']}) "
            + (
                f"{row['value']:.3f} [{row['confidence_low']:.3f}, {row['confidence_high']:.3f}]"
                f" over {row['window_days']} days"
                if row["value"] is not None
                else f"unknown: {row['reason']}"
            )
            for row in rows
        )
        or "no model predicted"
    )
