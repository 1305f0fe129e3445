"""The result of a run in a few lines, printed when it ends.

Not here: the totals (sql/report/summary.sql), how a number is written (`driftlake.vocabulary.wording`), and printing
(`driftlake.cli.running`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from driftlake.alerts.verdicts import PAGING
from driftlake.config import Settings
from driftlake.lake.catalog import catalog_of
from driftlake.lake.warehouse import Warehouse
from driftlake.report.verdicts import grouped
from driftlake.vocabulary.page_names import day_page_name
from driftlake.vocabulary.wording import counted, first_of, number, three_decimals, version_name


def summarize(warehouse: Warehouse, settings: Settings, first_day: date, last_day: date) -> list[tuple[str, str]]:
    """Name and value of each line; drift, verdicts, alerts, backlog and quality are those of the last day."""
    window_days = settings.drift.headline_window_days
    facts = warehouse.query(
        "report/summary", first_day=first_day, last_day=last_day, window_days=window_days
    ).to_pylist()[0]
    return [
        ("days processed", f"{facts['day_count']} ({first_day} to {last_day})"),
        ("rows", number(facts["row_count"])),
        ("drifted features", _drift(facts, window_days)),
        ("verdicts", _verdicts(warehouse, last_day)),
        ("open alerts", f"{facts['critical_count']} critical, {facts['warn_count']} warn"),
        ("label backlog", _backlog(facts)),
        ("rolling AUC", _quality(warehouse, last_day, settings.quality.headline_window_days)),
        ("report", f"{settings.resolve(settings.reports.path)}/{day_page_name(last_day)}"),
        ("warehouse", catalog_of(settings).name),
    ]


def _drift(facts: Mapping[str, Any], window_days: int) -> str:
    judged = facts["feature_count"] - facts["unjudged_count"]
    found = f"{facts['drifted_count']} of {judged} over {counted(window_days, 'day')}"
    return (
        f"{found}, {facts['unjudged_count']} not judged: {facts['unjudged_reason']}"
        if facts["unjudged_count"]
        else found
    )


def _backlog(facts: Mapping[str, Any]) -> str:
    if not facts["outstanding_count"]:
        return "none"
    waiting = f"{counted(facts['outstanding_count'], 'prediction')} without a label"
    return f"{waiting}, {number(facts['overdue_count'])} of them overdue" if facts["overdue_count"] else waiting


def _verdicts(warehouse: Warehouse, day: date) -> str:
    """How many versions have each verdict, and the names of some of those that page."""
    rows = warehouse.query("report/verdicts", day=day).to_pylist()
    told = []
    for verdict, found in grouped(rows, lambda row: row["verdict"]).items():
        names = f": {first_of([version_name(row) for row in found], 3)}" if verdict in PAGING else ""
        told.append(f"{number(len(found))} {verdict}{names}")
    return "; ".join(told) or "none"


def _quality(warehouse: Warehouse, day: date, window_days: int) -> str:
    rows = warehouse.sql(
        "select model_id, model_version, deployment, window_days, value, confidence_low, confidence_high, reason"
        " from model_quality where dt = ? and window_days = ? and statistic = 'auc' and segment = 'all'"
        " order by deployment, model_id, model_version",
        [day, window_days],
    ).to_pylist()
    return first_of([f"{version_name(row)} {_auc(row)}" for row in rows], 3, joint="; ") or "no model predicted"


def _auc(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return f"unknown: {row['reason']}"
    low, high = three_decimals(row["confidence_low"]), three_decimals(row["confidence_high"])
    return f"{three_decimals(row['value'])} [{low}, {high}] over {counted(row['window_days'], 'day')}"
