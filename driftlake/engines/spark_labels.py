"""Joins labels to their predictions with Spark: both are partitioned by a hash of the correlation id, and each bucket is joined separately.

Not here: what a task does (`driftlake.engines.label_worker`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import Settings
from driftlake.engines import cluster, label_worker, wire
from driftlake.engines.frames import (
    as_workers_need,
    broken_rows,
    mapped,
    planned_tasks,
    spark_schema,
    summed,
    task_rows,
)
from driftlake.engines.tasks import Source
from driftlake.inputs.predictions import create_version_tables
from driftlake.lake.session import connect, create_table
from driftlake.lineage.versions import ModelVersion
from driftlake.profiles.label_join import Delivered, LabelJoin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def join_labels(
    connection: duckdb.DuckDBPyConnection, settings: Settings, join: LabelJoin, delivered: Delivered
) -> Mapping[str, pa.Table]:
    """Join labels to their predictions: both are divided into buckets by correlation id, and each bucket is joined separately."""
    spark = cluster.session(settings.spark)
    versions = as_workers_need(delivered.versions)
    earlier = [label for label in delivered.labels if label.dt < join.first_day]
    labels = [*earlier, *(label for label in delivered.labels if label.dt >= join.first_day)]
    left_out = delivered.create_labels_view("labels", labels)
    label_source = Source(settings, delivered.label_side, versions, left_out.columns)
    label_tasks = planned_tasks(labels, broken_rows(connection, left_out.rows))
    label_rows = task_rows(spark, label_tasks)
    with cluster.errors_of(settings.spark):
        needed = _needed_days(
            connection, join, mapped(label_rows, label_worker.label_day_reader(label_source), wire.LABEL_DAYS)
        )
        telemetry = [p for p in delivered.telemetry if p.dt in needed or join.first_day <= p.dt < join.new_until]
        left_out = delivered.create_predictions_view("predictions", telemetry)
        source = Source(settings, delivered.prediction_side, versions, left_out.columns)
        prediction_rows = task_rows(spark, planned_tasks(telemetry, broken_rows(connection, left_out.rows)))
        rows = sum(partition.row_count for partition in (*labels, *telemetry))
        buckets = 1 + rows // settings.spark.rows_per_task
        schemas = _schemas_of_sums(settings, versions, join)
        together = _together(schemas)
        found = [
            mapped(tasks, label_worker.bucket_cutter(side, relation, schema, buckets), schema).groupBy("bucket")
            for tasks, side, relation, schema in (
                (label_rows, label_source, "labels", wire.LABELS),
                (prediction_rows, source, "predictions", wire.PREDICTIONS),
            )
        ]
        counts = (
            found[0]
            .cogroup(found[1])
            .applyInArrow(label_worker.label_joiner(source, join, needed, together), spark_schema(together))
        )
        sums = [name for name in together.names if name.endswith(("_count", "_sum"))]
        found_sums = summed(counts, *sums).toArrow()
    return {
        name: found_sums.filter(pc.field("part") == name).select(schema.names).cast(schema)
        for name, schema in schemas.items()
    }


def _needed_days(connection: duckdb.DuckDBPyConnection, join: LabelJoin, asked: DataFrame) -> Collection[date]:
    """Days of predictions that labels need; repetitions, which need none, are not known yet and are included."""
    create_table(connection, "label_days", asked.distinct().toArrow())
    connection.execute(
        "create or replace table label_rows as"
        " select *, true as is_valid, false as is_duplicate, false as is_conflict from label_days"
    )
    return join.needed_days(connection)


def _schemas_of_sums(settings: Settings, versions: Sequence[ModelVersion], join: LabelJoin) -> Mapping[str, pa.Schema]:
    """The schemas of the sums, from an empty join."""
    labels, predictions = (
        schema.empty_table().set_column(place, name, pa.array([], pa.timestamp("us")))
        for schema, place, name in ((wire.LABELS, 5, "label_time"), (wire.PREDICTIONS, 6, "event_time"))
    )
    with connect(settings) as session:
        create_version_tables(session, versions, settings.models)
        label_worker.create_bucket_relations(session, join, labels, predictions, [])
        join.judge(session)
        return {name: rows.schema for name, rows in join.sums(session).items()}


def _together(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """One schema for rows of several schemas; the column `part` names the schema of a row."""
    columns = {column.name: column.type for schema in schemas.values() for column in schema}
    return pa.schema([("part", pa.string()), *columns.items()])
