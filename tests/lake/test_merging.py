"""All counts of predictions merge: any two parts of a day add up to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from data import day, model_version, prediction_columns, write_day
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from driftlake.config import Settings
from driftlake.engines.local import profile_partitions
from driftlake.inputs.columns import telemetry_columns
from driftlake.inputs.partitions import read_partitions
from driftlake.inputs.predictions import Reading, create_version_tables, create_view_of_partitions
from driftlake.lake.session import open_session
from driftlake.maths.binning import learn_category_bins
from driftlake.maths.numeric_bins import learn_numeric_bins

ROWS = 40
RATIO = learn_numeric_bins("ratio", np.linspace(0, 1, 1000))
CHANNEL = learn_category_bins("channel", ["web", "app"], np.array([600, 300]))
VERSIONS = {
    ("credit", name): replace(model_version([RATIO, CHANNEL]), model_version=name, classes=("a", "b"))
    for name in ("v1", "v2")
}

GROUP = "model_version, deployment"
# The other key columns of every table, and how rows with the same key merge; levels are percentiles of service_profile.
MERGED = {
    "feature_profile": ("segment, feature, bin_id", "sum(row_count)"),
    "feature_stats": (
        "segment, feature",
        "sum(row_count), sum(mean * (row_count - missing_count)), sum(missing_count), min(minimum), max(maximum)",
    ),
    "prediction_profile": ("segment, bin_id", "sum(row_count), sum(score_sum), sum(at_cut_count)"),
    "class_profile": ("segment, predicted_class", "sum(row_count)"),
    "class_score_profile": ("scored_class, bin_id", "sum(row_count), sum(predicted_count)"),
    # more rows than there are; test_multivariate.py has fewer
    "prediction_sample": ("row_hash", "count(*), any_value(bins[1]), any_value(bins[2])"),
    "service_profile": ("segment, metric, bin_id", "sum(row_count)"),
    "sampling_rates": ("sampling_rate", "sum(prediction_count), sum(sampled_count)"),
    "service_parts": (
        "hour_at, node_id",
        "sum(prediction_count), sum(outcome_count), sum(success_count), sum(gpu_count), sum(gpu_utilization_sum)",
    ),
    "service_bins": ("hour_at, node_id, metric, bin_id", "sum(row_count)"),
    "service_errors": ("error_kind", "sum(row_count)"),
    "importance_profile": ("segment, feature", "sum(row_count), sum(absolute_sum), sum(signed_sum)"),
    "pair_profile": ("segment, feature_a, feature_b, bin_a, bin_b", "sum(row_count)"),
    # the largest rank of a register
    "distinct_profile": ("segment, column_name, register // 64", "max(register)"),
    "heavy_hitters": ("segment, column_name, value", "sum(row_count)"),
    "shadow_profile": (
        "production_version, bin_id, production_bin_id",
        "sum(row_count), sum(difference_sum), sum(squared_difference_sum), sum(both_at_cut_count)",
    ),
    "shadow_differences": ("production_version, bin_id", "sum(row_count)"),
}


@settings(max_examples=examples(10), deadline=None)
@given(chosen=st.sets(st.integers(0, ROWS - 1)), seed=st.integers(0, 99))
def test_two_parts_of_a_day_add_up_to_the_whole(chosen: set[int], seed: int) -> None:
    with TemporaryDirectory() as folder:
        write_predictions(Path(folder), chosen, seed)
        tables = profiled(Path(folder))
    # neither is a sum: percentiles of a day, and the rate at which it was counted
    assert set(tables) == {*MERGED, "service_levels", "sampling_rates"}
    for table, (key, sums) in MERGED.items():
        whole, parts = (merged(tables[table], key, sums, days) for days in ([day(1)], [day(2), day(3)]))
        assert list(whole)
        assert list(parts) == list(whole), table
        for values, expected in zip(parts.values(), whole.values(), strict=True):
            assert values == pytest.approx(expected), table


def write_predictions(root: Path, chosen: set[int], seed: int) -> None:
    """Predictions of v1 that v2 answers in shadow: all of them on day 1, `chosen` on day 2, the others on day 3."""
    generator = np.random.default_rng(seed)
    for version, deployment in (("v1", "production"), ("v2", "shadow")):
        # of day 2, so that their hours are near each of the days
        columns = prediction_columns(2, ROWS, generator) | {
            "model_version": pa.array([version] * ROWS),
            "deployment": pa.array([deployment] * ROWS),
            "predicted_class": pa.array(generator.choice(["a", "b"], ROWS)),
            "p_a": pa.array(generator.random(ROWS)),
            "p_b": pa.array(generator.random(ROWS), mask=generator.random(ROWS) < 0.1),
            "shap_ratio": pa.array(generator.normal(size=ROWS)),
            "shap_channel": pa.array(generator.normal(size=ROWS)),
            "lookup_ms": pa.array(generator.exponential(5, ROWS)),
            "success": pa.array(generator.random(ROWS) < 0.9),
            "error_kind": pa.array(generator.choice(["timeout", "memory"], ROWS), mask=generator.random(ROWS) < 0.8),
            "node_id": pa.array(generator.choice(["a", "b"], ROWS)),
            "gpu_utilization": pa.array(generator.integers(0, 100, ROWS)),
            "merchant": pa.array(generator.integers(0, 60, ROWS).astype(str), mask=generator.random(ROWS) < 0.1),
        }
        others = set(range(ROWS)) - chosen
        for number, rows in enumerate((range(ROWS), sorted(chosen), sorted(others)), start=1):
            write_day(root, number, pa.table(columns).take(pa.array(rows, pa.int64())), name=version)


def profiled(root: Path) -> Mapping[str, pa.Table]:
    configured = Settings.model_validate(
        {
            "telemetry": {
                "path": str(root),
                "segments": ["is_member"],
                "latencies": ["lookup_ms"],
                "shap": {"prefix": "shap_"},
                "class_scores": {"prefix": "p_"},
                "high_cardinality": ["merchant"],
            },
            "models": {"credit": {"pairs": [["ratio", "channel"]]}},
            "drift": {"multivariate": {"sample_rows": ROWS}},
            "lineage": {"path": "lineage"},
            "start": day(1),
        }
    )
    columns = telemetry_columns(configured.telemetry.segments, configured.telemetry.latencies)
    partitions = read_partitions(str(root), [day(1), day(2), day(3)], columns, {})
    with open_session(configured) as connection:
        create_version_tables(connection, list(VERSIONS.values()), configured.models)
        create_view_of_partitions(
            connection, "predictions", partitions, Reading(columns, {}, configured.telemetry.segments)
        )
        return profile_partitions(connection, configured, partitions, VERSIONS).tables


def merged(table: pa.Table, key: str, sums: str, days: list[date]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Counts of some days by the other key columns."""
    names = f"{GROUP}, {key}"
    width = len(names.split(","))
    with duckdb.connect() as connection:
        connection.register("counted", table)
        profile = (
            "select * exclude (registers), unnest(registers) as register"
            if "registers" in table.schema.names
            else "select *"
        )
        connection.execute(f"create view profile as {profile} from counted")
        rows = connection.execute(
            f"select {names}, {sums} from profile where list_contains(?, dt) group by {names} order by {names}", [days]
        ).fetchall()
    return {row[:width]: row[width:] for row in rows}
