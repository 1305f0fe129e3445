"""The same predictions and labels of three models as several writers store them, each with its own types.

Not here: counting them (test_writers.py, test_spark.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from data import day, noon
from project import ROWS, Project

RATING = np.arange(ROWS) % 5 + 1
MEMBER = np.arange(ROWS) % 3 == 0
WORD = [("low", "high")[row % 2] for row in range(ROWS)]
# Model versions: a binary model, and two multiclass ones whose classes are numbers and truth values.
CREDIT, ROUTE, SWITCH = "1", "2", "3"
MODELS = {CREDIT: "credit", ROUTE: "route", SWITCH: "switch"}
CLASSES = {ROUTE: ["1", "2", "3"], SWITCH: ["True", "False"]}

Writer = Callable[[pa.Table, Path], None]


def predictions(number: int, version: str) -> pa.Table:
    """Predictions of a day in the types of the training data."""
    rows = {
        "correlation_id": ids(number, version),
        "event_time": pa.array([noon(number)] * ROWS),
        "model_id": [MODELS[version]] * ROWS,
        "model_version": [int(version)] * ROWS,
        "score": np.linspace(0.01, 0.99, ROWS),
        "x": np.linspace(-2, 2, ROWS),
        "colour": WORD,
        "rating": RATING,
        "member": MEMBER,
        "tier": np.arange(ROWS) % 4,
        "active": np.arange(ROWS) % 5 < 2,
    }
    return pa.table(rows if version == CREDIT else rows | {"predicted_class": classes(version, 7)})


def labels(number: int, version: str) -> pa.Table:
    """The labels of the predictions of a day."""
    said = np.arange(ROWS) % 2 == 0 if version == CREDIT else classes(version, 5)
    return pa.table(
        {"correlation_id": ids(number, version), "label": said, "prediction_on": pa.array([noon(number)] * ROWS)}
    )


def ids(number: int, version: str) -> Any:
    """Whole numbers, or UUIDs of the model whose classes are truth values."""
    first = 10_000 * number + 1000 * int(version)
    return [str(UUID(int=first + row)) for row in range(ROWS)] if version == SWITCH else first + np.arange(ROWS)


def classes(version: str, period: int) -> Any:
    place = np.arange(ROWS) % period % 3
    return place + 1 if version == ROUTE else place == 0


def is_whole(rows: pa.Table, name: str) -> bool:
    return name in rows.column_names and pa.types.is_integer(rows.schema.field(name).type)


def as_pandas(rows: pa.Table, path: Path) -> None:
    """Nullable integers are floats, truth values are 0 and 1 or text as Python writes it."""
    whole = ("correlation_id", "model_version", "rating", "tier", "predicted_class", "label")
    kinds: dict[str, Any] = {name: float for name in whole if is_whole(rows, name)}
    kinds |= {"member": int, "active": str, "colour": "category"} if "member" in rows.column_names else {}
    if "predicted_class" in rows.column_names and "predicted_class" not in kinds:
        kinds["predicted_class"] = str
    rows.to_pandas().astype(kinds).to_parquet(path)


def as_duckdb(rows: pa.Table, path: Path) -> None:
    """Numbers are decimals, some truth values text, UUIDs are UUIDs, categories an enum."""
    kinds = {
        "correlation_id": "decimal(18, 0)" if is_whole(rows, "correlation_id") else "uuid",
        "model_version": "decimal(5, 2)",
        "rating": "decimal(38, 18)",
        "tier": "decimal(9, 3)",
        "colour": "enum('low', 'high')",
    }
    kinds |= {name: "decimal(9, 3)" for name in ("predicted_class", "label") if is_whole(rows, name)}
    cast = [f"{name}::{kind} as {name}" for name, kind in kinds.items() if name in rows.column_names]
    if "member" in rows.column_names:
        cast.append("if(member, 'True', 'False') as member")
    with duckdb.connect() as db:
        db.register("rows", rows)
        db.execute(f"copy (select * replace ({', '.join(cast)}) from rows) to '{path}'")


def as_polars(rows: pa.Table, path: Path) -> None:
    """Small and unsigned numbers, text for ids and truth values, categories in a dictionary."""
    kinds: dict[str, Any] = {"correlation_id": pl.String, "model_version": pl.UInt8, "rating": pl.Float32}
    kinds |= {"tier": pl.UInt16, "member": pl.Float64, "active": pl.String, "colour": pl.Categorical}
    kinds |= {name: pl.Float32 for name in ("predicted_class", "label") if is_whole(rows, name)}
    if "predicted_class" in rows.column_names and "predicted_class" not in kinds:
        kinds["predicted_class"] = pl.String
    frame = pl.DataFrame(rows)
    frame.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items() if name in frame.columns).write_parquet(
        path
    )


def as_arrow(rows: pa.Table, path: Path) -> None:
    """Text without the annotation that it is text, half floats, UUIDs as their bytes."""
    changed = {
        name: rows[name].cast(pa.string()).cast(pa.binary())
        for name in ("correlation_id", "model_version", "colour", "tier", "model_id")
        if name in rows.column_names
    }
    if not is_whole(rows, "correlation_id"):
        raw = [UUID(text).bytes for text in rows["correlation_id"].to_pylist()]
        changed["correlation_id"] = pa.array(raw, pa.binary(16))
    for name in ("rating", "predicted_class"):
        if is_whole(rows, name):
            changed[name] = rows[name].cast(pa.float32()).cast(pa.float16())
        elif name in rows.column_names:
            changed[name] = pa.array([str(value).upper().encode() for value in rows[name].to_pylist()])
    for name, values in changed.items():
        rows = rows.set_column(rows.column_names.index(name), name, values)
    pq.write_table(rows, path)


WRITERS: list[Writer] = [as_pandas, as_duckdb, as_polars, as_arrow]


def write_by_spark(spark: Any, root: Path, number: int) -> None:
    """Predictions and labels of a day as Spark stores them: decimals, INT96, folders and names of its own."""
    written = [("telemetry", number, predictions(number, version)) for version in MODELS]
    # labels with ids of one type are written together
    together = pa.concat_tables(_whole_labels(labels(number, version)) for version in (CREDIT, ROUTE))
    written += [("labels", number + 1, rows) for rows in (together, labels(number, SWITCH))]
    for folder, dt, rows in written:
        kinds = {"rating": "decimal(38, 18)", "tier": "decimal(9, 3)", "member": "string", "model_version": "short"}
        kinds |= {name: "decimal(12, 2)" for name in ("predicted_class", "label") if is_whole(rows, name)}
        frame = spark.createDataFrame(rows)
        columns = [f"cast({name} as {kinds[name]}) as {name}" if name in kinds else name for name in frame.columns]
        frame = frame.selectExpr(*columns, f"date'{day(dt)}' as dt").coalesce(1)
        frame.write.partitionBy("dt").mode("append").parquet(str(root / folder))


def _whole_labels(rows: pa.Table) -> pa.Table:
    return rows.set_column(1, "label", rows["label"].cast(pa.int64()))


def write(root: Path, folder: str, number: int, version: str, writer: Writer, rows: pa.Table) -> None:
    path = root / folder / f"dt={day(number)}" / f"{MODELS[version]}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer(rows, path)


def project_of_writers(root: Path, **sections: Any) -> Project:
    """A day in the types of training and one of each writer; the ids of labels are in the types of another writer."""
    first = predictions(1, CREDIT)
    features = ("x", "colour", "rating", "member")
    training: Mapping[str, Any] = {name: pa.concat_arrays(first[name].chunks * 10) for name in ("score", *features)}
    project = Project(
        root,
        training=training,
        lineage={"model_version": CREDIT},
        telemetry={"path": "telemetry", "segments": ["tier", "active"]},
        **sections,
    )
    for version, names in CLASSES.items():
        project.register(version, model_id=MODELS[version], task="multiclass", classes=names)
    writers: Sequence[Writer] = [pq.write_table, *WRITERS]
    for number, writer in enumerate(writers, start=1):
        for version in MODELS:
            write(root, "telemetry", number, version, writer, predictions(number, version))
            write(root, "labels", number + 1, version, writers[number % len(writers)], labels(number, version))
    return project


def assert_days_are_alike(project: Project, first: int, last: int) -> None:
    """The counts of all days of predictions are the same, and there are some of every kind."""
    days = {"class_cohorts": "prediction_on", "label_cohorts": "prediction_on"}
    for table in ("feature_profile", "prediction_profile", "class_profile", *days):
        found: dict[Any, list[Any]] = {}
        day_of = days.get(table, "dt")
        rows = project.rows(
            f"select {day_of}, columns(c -> c not in ('dt', 'prediction_on')) from {table}"
            f" where {day_of} between ? and ? order by all",
            day(first),
            day(last),
        )
        for dt, *row in rows:
            found.setdefault(dt, []).append(row)
        assert len(found) == 1 + last - first, table
        for dt, counted in found.items():
            assert counted == found[day(first)], (table, dt)
