"""SQL, rules and messages use the same registry of signals."""

from __future__ import annotations

import re
from contextlib import nullcontext
from datetime import UTC, datetime

import duckdb
import pytest
from data import GROUP, MODEL, Row, day, given, insert
from generated_pages import ROOT, generated_pages
from result_rows import BACKLOG_ROWS, CHECK, DRIFT, LEVELS, LOSS, QUALITY, SHADOW, raised, rule
from signals_and_rules import SIGNAL, SIGNAL_COLUMNS
from verdict_inputs import ALERT, FACTS, RUNS

from driftlake.alerts.shift_queries import query_of
from driftlake.config import Settings, every_signal, signal_of
from driftlake.lake import queries
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.drift_statistics import NUMERIC, STATISTICS
from driftlake.report.verdicts import MeasuredWindows, judge
from driftlake.vocabulary.signals import DRIFT_SOURCES, SIGNAL_SOURCES, SIGNALS, Signal

VERSION: Row = MODEL | {"deployment": "production", "window_days": 7}
GROUP_OF_VOLUME: Row = MODEL | {"deployment": "production"}
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
# Rows of every source over 7 days, with a value for each of its signals.
ROWS: dict[str, list[Row]] = {
    "feature_drift": [DRIFT | {"feature": "age", "statistic": name} for name in STATISTICS],
    "prediction_drift": [
        DRIFT | {"statistic": statistic.name} for statistic in STATISTICS.values() if {*NUMERIC} <= {*statistic.kinds}
    ],
    "model_quality": [
        QUALITY | {"window_days": 7, "statistic": name}
        for name in ("auc", "estimated_auc", "positive_rate", "mean_absolute_error")
    ],
    "performance": [
        VERSION
        | {"statistic": "auc", "basis": "combined", "day_count": 7, "labelled_day_count": 7}
        | {"label_count": 900, "loss_evidence": 1.0}
    ],
    # a feature that is missing after a week without missing values
    "feature_stats": [
        GROUP | {"feature": "age", "dt": day(number), "row_count": 100, "missing_count": 100 * (number == 1)}
        for number in range(-6, 2)
    ],
    "feature_skew": [
        GROUP
        | {"feature": "age", "compared_count": 100, "different_count": 20, "different_share": 0.2}
        | {"missing_count": 0, "surplus_count": 0, "lower_count": 20, "higher_count": 0, "sample_ids": ["a"]}
    ],
    # predictions of two weekdays, and none on the third
    "sampling_rates": [
        GROUP_OF_VOLUME | {"dt": day(number), "sampling_rate": 1.0, "prediction_count": 100, "sampled_count": 100}
        for number in (-13, -6)
    ],
    "partition_runs": [
        {"stage": "profiles", "run_id": "r", "outcome": "complete", "row_count": 0, "code_version": "c"}
        | {"config_hash": "h", "snapshot_id": 1, "started_at": NOON, "committed_at": NOON}
    ],
    "label_backlog": BACKLOG_ROWS,
    "importance_drift": [
        GROUP | {"window_days": 7, "reference": "training", "statistic": "ndcg", "value": 0.8, "current_count": 1000}
    ],
    "rare_combinations": [
        VERSION
        | {"feature_a": "age", "feature_b": "income", "bin_a": 1, "label_a": "young", "bin_b": 2, "label_b": "high"}
        | {"current_count": 5, "current_size": 1000, "reference_count": 0, "reference_size": 5000}
        | {"expected_count": 0.1, "p_value": 0.001, "q_value": 0.01}
    ],
    "multivariate_drift": [
        VERSION
        | {"statistic": "pca_reconstruction_error", "error_shift": -0.5, "noise_floor": 0.1, "current_count": 1000}
        | {"current_day_count": 7, "reference_count": 5000, "outcome": "drift"}
    ],
    "shadow_comparison": [SHADOW, SHADOW | LOSS],
    "service_levels": [LEVELS],
    "slo_status": [
        {"slo": "fast", "model_id": "credit", "sli": "latency", "objective": 0.99, "period_days": 28, "state": "ok"}
        | {"good_count": 90, "total_count": 100, "period_good_count": 90, "period_total_count": 100}
        | {"burn_rate_1d": 2.0, "burn_rate_3d": 3.0, "budget_remaining": 0.5}
    ],
    "contract_checks": [CHECK, CHECK | {"severity": "warning"}],
    "schema_changes": [
        {"comparison": "day_before", "column_name": "age", "change": change, "file_count": 1, "row_count": 10}
        | {"message": f"column age was {change}"}
        for change in ("added", "lost", "retyped", "reordered")
    ],
}


@pytest.fixture
def measured(memory: Warehouse) -> Warehouse:
    for table, rows in ROWS.items():
        insert(memory.connection, table, [{"dt": day(1)} | row for row in rows])
    return memory


def test_sql_and_the_registry_name_the_same_signals(measured: Warehouse) -> None:
    found = measured.sql("select distinct signal from sli_history")["signal"].to_pylist()
    assert sorted(found) == sorted(signal.name for signal in every_signal())


def test_every_source_has_a_query_of_its_own_signals_with_the_columns_of_the_view(measured: Warehouse) -> None:
    assert queries.names("signals") == sorted(SIGNAL_SOURCES)
    columns = measured.sql("from sli_history limit 0").schema
    for source in SIGNAL_SOURCES.values():
        rows = measured.query(f"signals/{source.name}")
        assert rows.schema.equals(columns), source.name
        assert all(name.startswith(source.prefix) for name in rows["signal"].to_pylist())


def test_every_signal_has_a_sentence(measured: Warehouse) -> None:
    rules = [rule(signal.name, -1, 9e9, name=f"rule-{place}") for place, signal in enumerate(every_signal())]
    messages = {alert["signal"]: alert["message"] for alert in raised(measured, *rules, last=1)}
    assert messages.keys() == {signal.name for signal in every_signal()}
    assert not [message for message in messages.values() if "None" in message or "{" in message]


def test_every_signal_that_is_named_anywhere_is_in_the_registry() -> None:
    quoted = re.compile(rf"['\"]((?:{'|'.join(SIGNAL_SOURCES)})\.\w+)['\"]")
    known = {signal.name for signal in every_signal()}
    files = [*(ROOT / "sql").rglob("*.sql"), *(ROOT / "driftlake").rglob("*.py")]
    named = {(file.name, name) for file in files for name in quoted.findall(file.read_text())}
    assert {file for file, _ in named} >= {"alerts.py", "quality_loss.sql"}
    assert not [signal for signal in named if signal[1] not in known]


@pytest.mark.parametrize(
    ("signal", "count", "finding"),
    [
        ("feature_drift.psi", 2, ""),
        (
            "feature_drift.missing_rate_change",
            2,
            " Missing values of 2 features changed against training (most: f2, by 200.0 percentage points).",
        ),
        ("prediction_drift.psi", 1, " Scores drifted (PSI 1)."),
        ("service_levels.p95_ms", 1, " The 95th percentile of f1 is 1 ms."),
        ("contract_checks.failed", 1, " 1 contract check failed."),
        ("schema_changes.lost", 2, " 2 alerts of rule feature-drift (worst: 2)."),
    ],
)
def test_a_verdict_says_what_the_alerts_of_a_signal_found(signal: str, count: int, finding: str) -> None:
    alerts = [ALERT | {"signal": signal, "feature": f"f{n}", "value": n} for n in range(1, count + 1)]
    windows = MeasuredWindows(drift_days=7, quality_days=28, has_labels=False)
    main, _, others = judge(FACTS, alerts, RUNS, windows).reasons.partition("so its quality is not known.")
    assert (main.startswith("No alert is open. No feature"), others) == (True, finding)


def test_the_json_schema_lists_every_signal() -> None:
    listed, _ = Settings.model_json_schema()["$defs"]["AlertRule"]["properties"]["signal"]["anyOf"]
    assert listed["enum"] == [signal.name for signal in every_signal()]


def test_a_new_record_is_all_that_a_signal_of_a_known_source_needs(
    db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "label_backlog.growth"
    new = Signal(
        name, "blind", "growth of the backlog", "count", "{who} waits for {value} labels more", finding="{value} more"
    )
    monkeypatch.setitem(SIGNALS, name, new)
    row = SIGNAL | {"dt": day(1), "signal": name, "feature": None, "reference": None, "value": 1200.0}
    given(db, "measured", SIGNAL_COLUMNS, [row])
    texts = queries.statement
    monkeypatch.setattr(
        queries, "statement", lambda of: "from measured" if of == "signals/label_backlog" else texts(of)
    )
    [alert] = raised(Warehouse(db, nullcontext()), rule(name, 1000, 2000), last=1)
    assert alert["message"].startswith("credit v1 (production) waits for 1,200 labels more (warn from 1,000;")
    assert judge(FACTS, [alert], RUNS, MeasuredWindows(7, 28, has_labels=False)).reasons.endswith(" 1,200 more.")
    assert query_of(alert, day(1)).startswith("from label_backlog where dt = date '2024-03-01' and model_id")
    assert f"| `{name}` | growth of the backlog | count | the day |  |" in generated_pages()["configuration.md"]()


def test_an_alert_on_a_statistic_that_is_not_registered_any_more_can_still_be_read() -> None:
    gone = signal_of("feature_drift.largest_gain")
    assert (gone.source in DRIFT_SOURCES, gone.measure, gone.unit) == (True, "largest gain", "number")
    assert signal_of("no_source.any_more").source.windows is None
