"""Small inputs for the tests: counts and rows a reader can check by hand, Parquet that is generated on the spot.

Every random number comes from a generator that the caller passes. Not here: fixtures (conftest.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from driftlake.config import Settings, load_settings
from driftlake.drift.bucket_history import Profiles, features_table, groups_table, ordered_groups
from driftlake.drift.windows import Buckets
from driftlake.lake import queries
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.binning import FeatureBins, probability_bins

Row = dict[str, Any]

# What the rows of most tables begin with.
MODEL: Row = {"model_id": "credit", "model_version": "v1"}
KEY = ("credit", "v1")
GROUP: Row = MODEL | {"deployment": "production", "segment": "all"}

# A row of training_runs; half of the labels are promised within 2 days, 95 % within 4, all within 6.
TRAINING_RUN: Row = MODEL | {
    "training_run_id": "run-1",
    "training_dataset_id": "data-1",
    "training_data": "training.parquet",
    "dataset_fingerprint": "f",
    "lineage_fingerprint": "f",
    "row_count": 1000,
    "score_kind": "probability",
    "features": [],
    "label_delay_p50_days": 2.0,
    "label_delay_p95_days": 4.0,
    "label_delay_max_days": 6.0,
    "baseline_auc": 0.9,
    "registered_at": datetime(2024, 1, 1, tzinfo=UTC),
}


def day(number: int) -> date:
    """Day of the tests: day(1) is 2024-03-01."""
    return date(2024, 3, 1) + timedelta(days=number - 1)


def noon(number: int) -> datetime:
    return datetime.combine(day(number), time(12))


def given(db: duckdb.DuckDBPyConnection, relation: str, columns: Mapping[str, str], rows: Iterable[Row]) -> None:
    """Create the table `relation` of `columns` (name: SQL type) with `rows`; what a row leaves out is null."""
    db.execute(f"create or replace table {relation} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    for row in rows:
        insert(db, relation, [row])


def insert(db: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows into a table that is there, by column name."""
    for row in rows:
        marks = ", ".join("?" * len(row))
        db.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values()))


def bucketed(rows: Iterable[Row], buckets: Buckets, versions: Mapping[tuple[str, str], ModelVersion]) -> Profiles:
    """Counts of features and of 'score' in buckets, as sql/drift/bucket_counts.sql and sql/drift/bucket_days.sql find them."""
    with duckdb.connect() as db:
        columns = {"dt": "date", **dict.fromkeys((*GROUP, "feature"), "varchar")}
        profile = {**columns, "bin_id": "integer", "row_count": "bigint"}
        given(db, "feature_profile", profile, (row for row in rows if row["feature"] != "score"))
        given(db, "prediction_profile", profile, (row for row in rows if row["feature"] == "score"))
        db.execute("create table feature_stats as select distinct * exclude (bin_id, row_count) from feature_profile")
        groups = ordered_groups(tuple(row[name] for name in GROUP) for row in rows)
        db.register("buckets", buckets.days())
        db.register("groups", groups_table(groups))
        db.register("counted_features", features_table(versions.values()))
        counts, day_counts = (
            queries.run(db, f"drift/{name}").to_arrow_table() for name in ("bucket_counts", "bucket_days")
        )
    return Profiles.of(counts, day_counts, groups, buckets, versions)


def model_version(
    features: Sequence[FeatureBins] = (), reference: Mapping[str, list[int]] | None = None
) -> ModelVersion:
    """Version v1 of model credit, which predicts probabilities; `reference` holds training counts per bin."""
    score_bins = probability_bins("score")
    return ModelVersion(
        **MODEL,
        score_kind="probability",
        features={bins.feature: bins for bins in features},
        score_bins=score_bins,
        baseline_auc=0.9,
        reference_counts={
            "score": np.zeros(score_bins.bin_count, dtype=np.int64),
            **{name: np.array(counts, dtype=np.int64) for name, counts in (reference or {}).items()},
        },
    )


def feature_columns(count: int, generator: np.random.Generator) -> dict[str, pa.Array]:
    """Features of every kind: one for each numeric transform, whole numbers, text, booleans, codes; some missing."""
    is_missing = generator.random(count) < 0.1
    return {
        "age": pa.array(generator.integers(18, 90, count)),
        "balance": pa.array(generator.standard_cauchy(count) * 1000),
        "amount": pa.array(np.exp(generator.normal(3, 2, count)), mask=is_missing),
        "ratio": pa.array(generator.random(count), pa.float64()),
        "channel": pa.array(generator.choice(["web", "app", "branch"], count, p=[0.6, 0.3, 0.1])),
        "is_member": pa.array(generator.random(count) < 0.3),
        "children": pa.array(generator.integers(0, 4, count), pa.int32(), mask=is_missing),
    }


def prediction_columns(number: int, count: int, generator: np.random.Generator) -> dict[str, pa.Array]:
    """Predictions of day `number` with scores whose logit is normal, ids d<number>-<row>."""
    seconds = generator.integers(0, 86_400, count)
    return {
        "correlation_id": pa.array([f"d{number}-{row}" for row in range(count)]),
        "event_time": pa.array([datetime.combine(day(number), time()) + timedelta(seconds=int(s)) for s in seconds]),
        "model_id": pa.array(["credit"] * count),
        "model_version": pa.array(["v1"] * count),
        "score": pa.array(1 / (1 + np.exp(-generator.normal(-1, 1.5, count)))),
        "latency_ms": pa.array(np.exp(generator.normal(3, 0.5, count))),
        **feature_columns(count, generator),
    }


def write_day(folder: Path, number: int, columns: Mapping[str, Any] | pa.Table, *, name: str = "part-0") -> Path:
    """Write a file of the partition of day `number`."""
    path = folder / f"dt={day(number)}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def write_project(
    root: Path,
    *,
    features: Sequence[str],
    training: Mapping[str, Any],
    lineage: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Settings:
    """A project folder with one version, empty telemetry and labels; `sections` go into driftlake.yaml.

    `lineage` adds to the lineage file of the version, or replaces what it says.
    """
    for folder in ("telemetry", "labels", "lineage"):
        (root / folder).mkdir(parents=True)
    pq.write_table(pa.table(training), root / "training.parquet")
    promised = MODEL | {
        "training_run_id": "run-1",
        "training_dataset_id": "data-1",
        "training_data": "../training.parquet",
        "score": "score",
        "features": list(features),
        "label_delay": {"p50_days": 1, "p95_days": 2, "max_days": 3},
        "baseline": {"auc": 0.9},
    }
    (root / "lineage" / "credit-v1.yaml").write_text(yaml.safe_dump(promised | dict(lineage or {})))
    content = {
        "telemetry": {"path": "telemetry"},
        "labels": {"path": "labels"},
        "lineage": {"path": "lineage"},
        "start": day(1),
        # the queries are small: a second thread mostly waits, and doubles the time
        "compute": {"threads": 1},
    }
    (root / "driftlake.yaml").write_text(yaml.safe_dump(content | sections))
    return load_settings(root / "driftlake.yaml")


def assert_same_rows(first: pa.Table, second: pa.Table) -> None:
    """The same rows to the last digit, in any order."""
    first, second = in_order(first), in_order(second)
    assert first.schema == second.schema
    for name in first.column_names:
        assert first[name].to_pylist() == second[name].to_pylist(), name


def in_order(table: pa.Table) -> pa.Table:
    """Rows sorted by every column that is no float."""
    return table.sort_by([(field.name, "ascending") for field in table.schema if not pa.types.is_floating(field.type)])
