"""A signal, a rule on it, and the query that raises its alerts. Not here: which alerts it should raise (test_sql.py)."""

from __future__ import annotations

from datetime import date

import duckdb
import pyarrow as pa
from data import GROUP, Row

from driftlake.lake import queries

SIGNAL_COLUMNS = (
    {"dt": "date", "signal": "varchar"}
    | dict.fromkeys(GROUP, "varchar")
    | {"feature": "varchar", "window_days": "integer", "reference": "varchar", "value": "double"}
    | {"sample_count": "bigint", "noise_floor": "double", "detail": "varchar"}
)
SIGNAL: Row = GROUP | {
    "signal": "feature_drift.psi",
    "feature": "age",
    "window_days": 7,
    "reference": "training",
    "value": 0.2,
    "sample_count": 1000,
    "noise_floor": 0.01,
}
RULE_COLUMNS = {
    "name": "varchar",
    "signal": "varchar",
    "window_days": "integer",
    "warn": "double",
    "critical": "double",
    "minimum_sample": "bigint",
    "consecutive_days": "integer",
    "resolve": "double",
    "resolve_after_days": "integer",
    "models": "varchar[]",
    "features": "varchar[]",
    "except_features": "varchar[]",
    "deployments": "varchar[]",
    "reference_names": "varchar[]",
    "opening_reference": "varchar",
    "each_segment": "boolean",
    "segments": "varchar[]",
    "kind": "varchar",
    "pages": "boolean",
    "owner": "varchar",
    "runbook": "varchar",
    "is_windowed": "boolean",
}
RULE: Row = {
    "name": "drift",
    "signal": "feature_drift.psi",
    "window_days": 7,
    "warn": 0.1,
    "critical": 0.25,
    "minimum_sample": 500,
    "consecutive_days": 1,
    "resolve": 0.08,
    "resolve_after_days": 1,
    "models": [],
    "features": [],
    "except_features": [],
    "deployments": ["production"],
    "reference_names": ["training"],
    "each_segment": False,
    "segments": [],
    "kind": "drift",
    "pages": False,
    "is_windowed": True,
}


def alerts_of(db: duckdb.DuckDBPyConnection, first_day: date, last_day: date) -> pa.Table:
    """Rows of sql/alerts/alerts.sql for given signals and alert_rules."""
    signals = [name for (name,) in db.sql("select signal from alert_rules").fetchall()]
    db.register(
        "watched_signals",
        queries.run(db, "alerts/watched_signals", signals=signals, last_day=last_day, holidays=[]).to_arrow_table(),
    )
    db.register("rule_jumps", queries.run(db, "alerts/rule_jumps").to_arrow_table())
    return queries.run(db, "alerts/alerts", first_day=first_day, last_day=last_day).to_arrow_table()
