"""Tasks of a Spark worker for labels and predictions: dividing them into buckets, and joining a bucket.

Not here: the join (`driftlake.profiles.label_join`) and Spark (`driftlake.engines.spark_labels`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.engines.tasks import ROWS_PER_BATCH, Source, of_a_task, opened, tasks_of
from driftlake.engines.wire import LABEL_DAYS, Joined, Mapped, in_schema
from driftlake.inputs.predictions import create_version_tables
from driftlake.lake import queries
from driftlake.lake.session import create_table, open_session
from driftlake.profiles.label_join import LabelJoin


def label_day_reader(source: Source) -> Mapped:
    """A function that reads the prediction days that valid labels name, by the day of arrival of the labels."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, _ in tasks_of(batches):
            with opened(source, task, "labels") as connection:
                yield from in_schema(LABEL_DAYS, queries.table(connection, "labels/label_days"))

    return mapped


def bucket_cutter(source: Source, relation: str, schema: pa.Schema, bucket_count: int) -> Mapped:
    """A function that divides rows of `relation` into buckets; a prediction and its labels are in the same bucket."""
    columns = ", ".join(queries.quote(name) for name in schema.names[1:])
    rows = f"select (coalesce(hash(correlation_id), 0) % {bucket_count})::integer as bucket, {columns} from {relation}"
    if relation == "predictions":
        rows += " where correlation_id is not null"

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, _ in tasks_of(batches):
            with opened(source, task, relation) as connection:
                connection.execute(rows)
                for found in connection.to_arrow_reader(ROWS_PER_BATCH):
                    yield from in_schema(schema, pa.Table.from_batches([found]))

    return mapped


def label_joiner(source: Source, join: LabelJoin, needed: Collection[date], sums: pa.Schema) -> Joined:
    """A function that joins the labels and predictions of a bucket: rows of each of `LabelJoin.sums`, in one schema."""

    def joined(labels: pa.Table, predictions: pa.Table) -> pa.Table:
        with open_session(of_a_task(source.settings)) as connection:
            create_version_tables(connection, source.versions, source.settings.models)
            create_bucket_relations(connection, join, _with_times(labels), _with_times(predictions), needed)
            join.judge(connection)
            parts = join.sums(connection)
            return pa.concat_tables(
                [sums.empty_table()]
                + [pa.Table.from_batches(in_schema(sums, rows, part=name), sums) for name, rows in parts.items()]
            )

    return joined


def create_bucket_relations(
    connection: duckdb.DuckDBPyConnection,
    join: LabelJoin,
    labels: pa.Table,
    predictions: pa.Table,
    needed: Collection[date],
) -> None:
    """Create the relations that `LabelJoin.judge` and `LabelJoin.sums` read, from the rows of a bucket."""
    of_day = pc.field("dt")
    earlier = labels.filter(of_day < join.first_day)
    is_new = (of_day >= join.first_day) & (of_day < join.new_until)
    relations = {
        "labels": labels.filter(of_day >= join.first_day),
        "earlier_labels": earlier,
        "recent_labels": earlier.filter(of_day >= join.recent_from),
        "new_predictions": predictions.filter(is_new),
        "predictions": predictions.filter(of_day.isin(pa.array(sorted(needed), pa.date32()))),
    }
    for name, rows in relations.items():
        create_table(connection, name, rows)


def _with_times(rows: pa.Table) -> pa.Table:
    """Rows with their times converted back from microseconds."""
    for place, column in enumerate(rows.schema):
        if column.name in {"label_time", "event_time"}:
            rows = rows.set_column(place, column.name, rows[column.name].cast(pa.timestamp("us")))
    return rows
