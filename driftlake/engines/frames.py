"""Tasks of Spark for partitions, and operations on DataFrames that both stages use.

Not here: profiles (`driftlake.engines.spark`) and labels (`driftlake.engines.spark_labels`).
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from driftlake.engines.tasks import Positions, Task
from driftlake.engines.wire import Mapped
from driftlake.inputs.partitions import Partition
from driftlake.lake import queries
from driftlake.lineage.versions import ModelVersion
from driftlake.profiles.plan import cut_day

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Tasks per core: few enough to start quickly, and enough that a slow worker does not delay the others.
_TASKS_PER_CORE = 4


# Fields of a version for the comparison with training, which workers do not need.
_NOT_COUNTED_BY: Mapping[str, Any] = {
    "reference_counts": {},
    "segment_reference_counts": {},
    "training_labels": None,
    "feature_types": {},
}


def as_workers_need(versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """Versions without their reference counts."""
    return [replace(version, **_NOT_COUNTED_BY) for version in versions]


def planned_tasks(partitions: Sequence[Partition], broken: Mapping[int, Positions]) -> list[Task]:
    """The shards of all days; files are numbered over all of them."""
    ids: dict[str, int] = {}
    for partition in partitions:
        ids |= {file.path: len(ids) + place for place, file in enumerate(partition.files)}
    tasks = []
    for day, partition in enumerate(partitions):
        # a file without rows has no pieces
        for number, pieces in enumerate(filter(None, cut_day(partition))):
            own = {piece.file.path: ids[piece.file.path] for piece in pieces}
            out = {file_id: broken[file_id] for file_id in own.values() if file_id in broken}
            tasks.append(Task(day, number, pieces, own, out))
    return tasks


def broken_rows(connection: duckdb.DuckDBPyConnection, table: str | None) -> dict[int, Positions]:
    """Quarantined rows by the position of their file."""
    if table is None:
        return {}
    rows: Mapping[str, Any] = connection.execute(
        f"select file_id, file_row_number from {queries.quote(table)} order by all"
    ).fetchnumpy()
    ids, starts = np.unique(rows["file_id"], return_index=True)
    return dict(zip(ids.tolist(), np.split(rows["file_row_number"].astype(np.int64), starts[1:]), strict=True))


def task_rows(spark: SparkSession, tasks: Sequence[Task], duplicates: DataFrame | None = None) -> DataFrame:
    """One row per task: its number, the task itself, and the positions of its repeated predictions."""
    from pyspark.sql import functions as f

    rows = pa.table(
        {
            "shard": pa.array(range(len(tasks)), pa.int64()),
            "task": pa.array([pickle.dumps(task) for task in tasks], pa.binary()),
        }
    )
    found = spark.createDataFrame(rows)
    if duplicates is not None:
        places = f.collect_list(f.struct("file_id", "file_row_number")).alias("duplicates")
        found = found.join(duplicates.groupBy("shard").agg(places), "shard", "left")
    cores = spark.sparkContext.defaultParallelism
    return found.repartition(max(min(len(tasks), cores * _TASKS_PER_CORE), 1))


def mapped(rows: DataFrame, function: Mapped, schema: pa.Schema) -> DataFrame:
    """The result of a function that workers apply to rows."""
    return rows.mapInArrow(function, spark_schema(schema))


def summed(rows: DataFrame, *sums: str, largest: Sequence[str] = ()) -> DataFrame:
    """Merge rows with the same values in all other columns by adding their sums."""
    from pyspark.sql import functions as f

    keys = [name for name in rows.columns if name not in {*sums, *largest}]
    totals = [f.sum(name).alias(name) for name in sums]
    return rows.groupBy(*keys).agg(*totals, *(f.max(name).alias(name) for name in largest))


def spark_schema(schema: pa.Schema) -> Any:
    """An Arrow schema as a Spark schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)
