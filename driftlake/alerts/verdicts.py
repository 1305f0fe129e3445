"""The verdict on every model version and day: rows of model_verdicts.

A verdict follows from the incidents that are open and from performance alone, so any day can be judged again and gives the same
row. Not here: incidents (`driftlake.alerts.incidents`), and how a page shows a verdict (`driftlake.report`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import RECENT_DAYS
from driftlake.vocabulary.wording import SHARES, counted, measured, statistic_name, three_decimals

# Verdicts that page.
PAGING = ("harmed", "broken", "blind")


def judge(warehouse: Warehouse, alerts: pa.Table, incidents: pa.Table, *, first_day: date, last_day: date) -> pa.Table:
    """Rows of model_verdicts of some days, from their alerts with incidents and their incidents."""
    with warehouse.registered(day_alerts=alerts, day_incidents=incidents):
        facts = warehouse.query(
            "alerts/model_verdicts", first_day=first_day, last_day=last_day, recent_days=RECENT_DAYS
        )
    rows = [row | {"sentence": _sentence(row)} for row in facts.to_pylist()]
    schema = arrow_schema("model_verdicts")
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)


def _sentence(facts: Mapping[str, Any]) -> str:
    performance = _performance(facts)
    if facts["verdict"] == "harmed":
        return f"{performance}. It has been worse than the tolerance since {facts['since_on']}."
    if facts["verdict"] == "well":
        return f"{performance}. No alert is open."
    others = facts["alert_count"] - 1
    also = f" {counted(others, 'more alert')} {'is' if others == 1 else 'are'} open." if others else ""
    # the reader knows which model the row is about
    title = facts["title"].removeprefix(f"{facts['model_id']}: ")
    return f"{title}, since {facts['since_on']}.{also} {performance}."


def _performance(facts: Mapping[str, Any]) -> str:
    """The performance of a version in a sentence without its full stop."""
    statistic = facts["statistic"]
    if statistic is None or facts["value"] is None:
        return "Its performance cannot be tested: there is no baseline, or there are neither labels nor estimates"
    written = three_decimals if statistic in SHARES else measured
    interval = "no interval yet"
    if facts["confidence_low"] is not None:
        interval = f"95 % {written(facts['confidence_low'])} to {written(facts['confidence_high'])}, days as clusters"
    sentence = (
        f"{statistic_name(statistic)} {written(facts['value'])} ({interval}) over"
        f" {counted(facts['window_days'], 'day')}; baseline {written(facts['baseline_value'])}, tolerance"
        f" {written(facts['tolerance'])}"
    )
    if facts["detectable_loss"] is None:
        return sentence
    return f"{sentence}. It takes about four weeks to detect a loss of {written(facts['detectable_loss'])}"
