"""The query that shows what an alert is about, ready for `driftlake sql`. Not here: running it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from driftlake.queries import literal
from driftlake.segments import ALL

Row = Mapping[str, Any]
_COMPARED = ("feature_drift", "prediction_drift")
_KEYS = ("model_id", "model_version", "deployment", "segment", "feature", "window_days")
# Sources whose rows call the feature something else, or have none.
_ABOUT = {
    "service_levels": "metric",
    "slo_status": "slo",
    "contract_checks": None,
    "schema_changes": "column_name",
    "shadow_comparison": None,
}
_UNNAMED = ("contract_checks", "schema_changes")


def query_of(alert: Row, day: date) -> str:
    """Text of a query: the distance itself, window against reference, or the rows that the value was read from."""
    source = alert["signal"].partition(".")[0]
    if source in _COMPARED and (against := _against(alert, day)) is not None:
        return _drift(alert, day, source, against)
    conditions = [f"dt = {_date(day)}"]
    for name in _KEYS:
        column = _ABOUT.get(source, name) if name == "feature" else name
        is_kept = column and alert[name] is not None and not (name == "window_days" and alert[name] == 1)
        if is_kept and not (source in _UNNAMED and name in {"deployment", "segment"}):
            conditions.append(f"{column} = {_value(alert[name])}")
    if source == "contract_checks":
        conditions.append("outcome = 'failed'")
    return f"from {source} where {' and '.join(conditions)}"


def _drift(alert: Row, day: date, source: str, against: list[str]) -> str:
    first_day = day - timedelta(days=alert["window_days"] - 1)
    arguments = [literal(alert["model_id"]), literal(alert["model_version"]), _date(first_day), _date(day), *against]
    if alert["deployment"] != "production":
        arguments.append(f"deployment_name := {literal(alert['deployment'])}")
    if alert["segment"] != ALL:
        arguments.append(f"segment_name := {literal(alert['segment'])}")
    feature = "score" if source == "prediction_drift" else alert["feature"]
    return f"from drift_between({', '.join(arguments)}) where feature = {literal(feature)}"


def _against(alert: Row, day: date) -> list[str] | None:
    """Arguments that say what is compared with; None if only the stored rows know."""
    distance = {"training": 0, "preceding": alert["window_days"], "four_weeks_before": 28}.get(alert["reference"])
    if distance is None:
        return None
    last_day = day - timedelta(days=distance)
    first_day = last_day - timedelta(days=alert["window_days"] - 1)
    period = ["against := 'period'", f"against_from := {_date(first_day)}", f"against_to := {_date(last_day)}"]
    return period if distance else []


def _date(day: date) -> str:
    return f"date '{day}'"


def _value(value: object) -> str:
    return literal(value) if isinstance(value, str) else str(value)
