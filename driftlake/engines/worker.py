"""Tasks of a Spark worker: the SQL and the kernel of a single machine, on row groups of a day.

A task reads only its own row groups, so it needs little memory, whatever the size of a file. Everything here is a
function from Arrow to Arrow, for Spark's mapInArrow and applyInArrow. Not here: labels (`driftlake.engines.label_worker`)
and Spark (`driftlake.engines.spark`).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import Settings
from driftlake.engines.tasks import (
    ROWS_PER_BATCH,
    Positions,
    Source,
    Task,
    of_a_task,
    opened,
    spans_of,
    tasks_of,
    unpacked,
)
from driftlake.engines.wire import (
    CALLS,
    COUNTED,
    COUNTS,
    KEYS,
    NO_SEGMENT,
    NODES,
    SCORES,
    SHADOW,
    SURVEY,
    Applied,
    Mapped,
    in_schema,
    is_value_counts,
)
from driftlake.inputs.predictions import ROW_POSITIONS_SCHEMA, create_version_tables
from driftlake.lake import queries
from driftlake.lake.session import create_table, open_session
from driftlake.profiles import paired_predictions, service_calls
from driftlake.profiles.plan import Day, Piece
from driftlake.profiles.row_samples import Sample, SampledRows, sampled_of_files
from driftlake.profiles.rows import ProfileRows
from driftlake.profiles.service_calls import CallColumns
from driftlake.profiles.shards import VersionCounts, count_shard
from driftlake.profiles.value_counts import ValueCounts, profile_values


def surveyor(source: Source) -> Mapped:
    """A function that counts the predictions of each version and each value of the segment columns."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, _ in tasks_of(batches):
            with opened(source, task) as connection:
                counts = queries.table(connection, "profiles/prediction_counts")
                yield from in_schema(SURVEY, counts, subject=NO_SEGMENT)
                for name in source.settings.telemetry.segments:
                    connection.execute(
                        f"create or replace view segment_column as select dt, {queries.quote(name)} as value from predictions"
                    )
                    counts = queries.table(connection, "profiles/segment_counts")
                    yield from in_schema(SURVEY, counts, subject=name)

    return mapped


def key_reader(source: Source, groups: pa.Table) -> Mapped:
    """A function that reads the key of every prediction that has one."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, shard in tasks_of(batches):
            with opened(source, task) as connection:
                create_table(connection, "prediction_groups", groups)
                for batch in queries.run(connection, "profiles/prediction_keys").to_arrow_reader(ROWS_PER_BATCH):
                    # as Spark stores them: hashes are signed, and times are compared as numbers
                    signed = {name: batch.column(name).view(pa.int64()) for name in ("event_time", "key_hash")}
                    others = {name: batch.column(name) for name in batch.schema.names if name not in signed}
                    yield from in_schema(KEYS, pa.table(signed | others), shard=shard)

    return mapped


def shard_counter(source: Source, groups: pa.Table, days: Sequence[Day]) -> Mapped:
    """A function that counts shards: one row for each version and feature or profile."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sessions = _coded(source, groups, [batch])
            for task, connection in zip(unpacked(batch), sessions, strict=True):
                for version, counts in enumerate(_count(connection, source, task, days[task.day])):
                    yield _rows_of(task, version, counts)

    return mapped


def count_adder(source: Source, days: Sequence[Day]) -> Applied:
    """A function that adds the counts of a day, version and feature or profile in the order of the shards.

    It returns only the values and samples that are stored, because all of them would be as large as the day.
    """

    def applied(counts: pa.Table) -> pa.Table:
        day, version, kind, name = (counts[column][0].as_py() for column in ("day", "version", "kind", "name"))
        parts = [pickle.loads(part) for part in counts.sort_by("number")["counts"].to_pylist()]  # noqa: S301  # ours
        added: Any = [type(of_grouping[0]).combined(of_grouping) for of_grouping in zip(*parts, strict=True)]
        if is_value_counts(kind, name):
            added = _profiled_values(source.settings, days[day], version, added)
        elif kind == "profile" and isinstance(added[0], Sample) and source.settings.drift.multivariate:
            added = [sample.smallest(source.settings.drift.multivariate.sample_rows) for sample in added]
        return pa.table([[day], [version], [kind], [name], [pickle.dumps(added)]], COUNTED)

    return applied


def node_counter(source: Source, groups: pa.Table, columns: CallColumns) -> Mapped:
    """A function that counts the predictions of each node."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for connection in _coded(source, groups, batches):
            service_calls.create_node_view(connection, columns)
            yield from in_schema(NODES, queries.table(connection, "profiles/segment_counts"), subject="node_id")

    return mapped


def call_counter(source: Source, groups: pa.Table, columns: CallColumns, kept_nodes: pa.Table) -> Mapped:
    """A function that sums the calls of tasks: rows of service_calls.SUMS."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for connection in _coded(source, groups, batches):
            queries.run(connection, "profiles/service_calls")
            for name, rows in service_calls.sum_calls(connection, columns, kept_nodes).items():
                yield from in_schema(CALLS, rows, part=name)

    return mapped


def score_reader(source: Source, groups: pa.Table, bucket_count: int) -> Mapped:
    """A function that reads scores of models with a candidate; both scores of a prediction are in the same bucket."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for connection in _coded(source, groups, batches):
            queries.run(connection, "profiles/shadow_scores")
            connection.execute(
                f"select (hash(correlation_id) % {bucket_count})::integer as bucket, * from shadow_scores"
            )
            for found in connection.to_arrow_reader(ROWS_PER_BATCH):
                yield from in_schema(SCORES, pa.Table.from_batches([found]))

    return mapped


def pair_counter(source: Source) -> Applied:
    """A function that compares the scores of a bucket: rows of shadow_profile and shadow_differences."""

    def applied(scores: pa.Table) -> pa.Table:
        with open_session(of_a_task(source.settings)) as connection:
            create_version_tables(connection, source.versions, source.settings.models)
            create_table(connection, "shadow_scores", scores)
            found = paired_predictions.sum_pairs(connection)
            return pa.concat_tables([pa.Table.from_batches(in_schema(SHADOW, part), SHADOW) for part in found])

    return applied


def _coded(source: Source, groups: pa.Table, batches: Iterable[pa.RecordBatch]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session for each task, with the codes of the rows that count."""
    for batch in batches:
        for place, task in enumerate(unpacked(batch)):
            with opened(source, task) as connection:
                create_table(connection, "prediction_groups", groups)
                _create_duplicate_table(connection, batch.column("duplicates")[place].values)
                yield connection


def _create_duplicate_table(connection: duckdb.DuckDBPyConnection, rows: pa.StructArray | None) -> None:
    """Create the table duplicate_rows if there are rows."""
    table = pa.Table.from_batches([pa.RecordBatch.from_struct_array(rows)]) if rows is not None else None
    create_table(
        connection,
        "duplicate_rows",
        table.cast(ROW_POSITIONS_SCHEMA) if table is not None else ROW_POSITIONS_SCHEMA.empty_table(),
    )


def _count(connection: duckdb.DuckDBPyConnection, source: Source, task: Task, day: Day) -> Sequence[VersionCounts]:
    codes = _codes(connection, task)
    multivariate = source.settings.drift.multivariate
    samples: Mapping[str, SampledRows] = {}
    if multivariate:
        samples = sampled_of_files(connection, task.file_ids, multivariate.sample_rows)
    return count_shard(
        day.shard(
            piece.row_group(codes[piece.file.path].between(piece), samples.get(piece.file.path))
            for piece in task.pieces
        )
    )


@dataclass(frozen=True, slots=True)
class _SpanCodes:
    """Codes of the rows of a span, without those of the rest of its file."""

    start: int
    codes: NDArray[np.int32]

    def between(self, piece: Piece) -> NDArray[np.int32]:
        return self.codes[piece.start - self.start : piece.end - self.start]

    def put(self, rows: Positions, codes: NDArray[np.int32] | int) -> None:
        self.codes[rows - self.start] = codes


def _codes(connection: duckdb.DuckDBPyConnection, task: Task) -> Mapping[str, _SpanCodes]:
    spans = list(spans_of(task))
    found = {span.file_id: _SpanCodes(span.start, np.full(span.end - span.start, -1, np.int32)) for span in spans}
    for batch in queries.run(connection, "inputs/prediction_codes").to_arrow_reader(ROWS_PER_BATCH):
        ids, rows, codes = (batch.column(name).to_numpy() for name in ("file_id", "file_row_number", "code"))
        counted = np.where(batch.column("is_sampled").to_numpy(zero_copy_only=False), codes, -1)
        for file_id in np.unique(ids).tolist():
            found[file_id].put(rows[ids == file_id], counted[ids == file_id])
    duplicates: Mapping[str, Any] = connection.execute("select * from duplicate_rows").fetchnumpy()
    for file_id in np.unique(duplicates["file_id"]).tolist():
        found[file_id].put(duplicates["file_row_number"][duplicates["file_id"] == file_id], -1)
    return {span.file.path: found[span.file_id] for span in spans}


def _rows_of(task: Task, version: int, counts: VersionCounts) -> pa.RecordBatch:
    kinds = {"feature": counts.features, "profile": counts.profiles}
    rows = [
        {
            "day": task.day,
            "version": version,
            "kind": kind,
            "name": name,
            "number": task.number,
            "counts": pickle.dumps(counted),
        }
        for kind, of_kind in kinds.items()
        for name, counted in of_kind.items()
    ]
    return pa.RecordBatch.from_pylist(rows, schema=COUNTS)


def _profiled_values(
    settings: Settings, day: Day, version: int, counts: Sequence[ValueCounts]
) -> Mapping[str, pa.Table]:
    """Rows of the tables of distinct values."""
    rows = ProfileRows()
    rows.add(replace(day, versions=[day.versions[version]]), [VersionCounts({}, {"value_counts": counts})])
    with open_session(of_a_task(settings)) as connection:
        return profile_values(connection, rows.tables(connection)["value_counts"])
