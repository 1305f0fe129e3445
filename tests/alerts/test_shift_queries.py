"""The query of an alert runs unchanged and returns the values that the alert is about."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from data import GROUP, Row, day

from driftlake.alerts.shift_queries import command_of, query_of
from driftlake.config import every_signal
from driftlake.lake import schema
from driftlake.lake.warehouse import Warehouse

ALERT: Row = GROUP | {"signal": "feature_drift.psi", "feature": "it's", "window_days": 7, "reference": "training"}


@pytest.fixture
def warehouse(memory: Warehouse) -> Warehouse:
    for macro in schema.warehouse_macros():
        memory.connection.execute(macro)
    return memory


@pytest.mark.parametrize(
    ("alert", "query"),
    [
        ({}, "from drift_between('credit', 'v1', date '2024-03-01', date '2024-03-07') where feature = 'it''s'"),
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
    ],
    ids=["training", "preceding", "quality"],
)
def test_the_query_of_an_alert(alert: dict[str, Any], query: str) -> None:
    assert query_of(ALERT | alert, day(7)) == query


@pytest.mark.parametrize("signal", [signal.name for signal in every_signal()])
def test_the_query_of_every_signal_runs(warehouse: Warehouse, signal: str) -> None:
    warehouse.sql(query_of(ALERT | {"signal": signal}, day(7)))


def test_a_long_window_goes_back_as_far_as_its_reference_does() -> None:
    query = query_of(ALERT | {"window_days": 35, "reference": "four_weeks_before"}, day(7))
    # by 56 days
    assert "against_from := date '2023-12-08', against_to := date '2024-01-11'" in query


def test_a_value_from_telemetry_is_quoted_for_the_shell(tmp_path: Path) -> None:
    command = command_of(ALERT | {"segment": f"country=$(touch {tmp_path}/ran)"}, day(7))
    said = subprocess.run(
        ["sh", "-c", command.replace("driftlake sql", "printf %s")], check=True, capture_output=True, text=True
    )
    assert not (tmp_path / "ran").exists()
    assert said.stdout == query_of(ALERT | {"segment": f"country=$(touch {tmp_path}/ran)"}, day(7))
