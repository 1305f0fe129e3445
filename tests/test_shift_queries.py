"""The query of an alert runs as it stands, and says what it is about."""

from __future__ import annotations

from typing import Any

import pytest
from data import GROUP, Row, day

from driftlake import schema
from driftlake.shift_queries import query_of
from driftlake.warehouse import Warehouse

ALERT: Row = GROUP | {"signal": "feature_drift.psi", "feature": "it's", "window_days": 7, "reference": "training"}
OF_THE_DAY: Row = {"window_days": 1, "reference": None}
UNOWNED: Row = OF_THE_DAY | {"deployment": None, "segment": None}


@pytest.mark.parametrize(
    ("alert", "query"),
    [
        (
            {},
            "from drift_between('credit', 'v1', date '2024-03-01', date '2024-03-07') where feature = 'it''s'",
        ),
        (
            {"signal": "prediction_drift.psi", "feature": None, "reference": "preceding", "deployment": "shadow"},
            (
                "from drift_between('credit', 'v1', date '2024-03-01', date '2024-03-07', against := 'period',"
                " against_from := date '2024-02-23', against_to := date '2024-02-29', deployment_name := 'shadow')"
                " where feature = 'score'"
            ),
        ),
        (
            {"signal": "model_quality.auc_drop", "feature": None, "reference": None},
            (
                "from model_quality where dt = date '2024-03-07' and model_id = 'credit' and model_version = 'v1'"
                " and deployment = 'production' and segment = 'all' and window_days = 7"
            ),
        ),
        (
            OF_THE_DAY | {"signal": "service_levels.p95_ms", "feature": "latency_ms", "segment": None},
            (
                "from service_levels where dt = date '2024-03-07' and model_id = 'credit' and model_version = 'v1'"
                " and deployment = 'production' and metric = 'latency_ms'"
            ),
        ),
        (
            UNOWNED | {"signal": "contract_checks.failed", "feature": "x", "model_id": None, "model_version": None},
            "from contract_checks where dt = date '2024-03-07' and outcome = 'failed'",
        ),
        (
            UNOWNED | {"signal": "schema_changes.lost", "feature": "age", "model_id": None, "model_version": None},
            "from schema_changes where dt = date '2024-03-07' and column_name = 'age'",
        ),
    ],
    ids=["training", "preceding", "quality", "latency", "contract", "schema"],
)
def test_the_query_of_an_alert_runs(memory: Warehouse, alert: dict[str, Any], query: str) -> None:
    assert query_of(ALERT | alert, day(7)) == query
    for macro in schema.warehouse_macros():
        memory.connection.execute(macro)
    memory.sql(query)
