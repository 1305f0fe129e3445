"""What a task of a Spark worker does: the SQL and the kernel of one machine, on some row groups of a day.

A task reads its row groups alone, so that memory is that of a few, whatever the size of a file. Everything here is a
function from Arrow to Arrow, for Spark's mapInArrow and applyInArrow. Not here: Spark (spark.py).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake import paired_predictions, queries, service
from driftlake.config import Settings
from driftlake.distinct import ValueCounts, profile_values
from driftlake.inputs import InputFile, Partition
from driftlake.label_join import LabelJoin, Side
from driftlake.profiling import Day, Piece, ProfileRows
from driftlake.samples import Sample, SampledRows, sampled_of_files
from driftlake.service import CallColumns
from driftlake.session import create_table, open_session
from driftlake.shards import VersionCounts, count_shard
from driftlake.telemetry import SURPLUS_SCHEMA, LeftOut, offer_partitions, offer_versions
from driftlake.versions import ModelVersion

# A function for mapInArrow.
Mapped: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# A function for applyInArrow.
Applied: TypeAlias = Callable[[pa.Table], pa.Table]
# A function for cogroup and applyInArrow.
Joined: TypeAlias = Callable[[pa.Table, pa.Table], pa.Table]
Positions: TypeAlias = NDArray[np.int64]

_GROUP = [("dt", pa.date32()), *((name, pa.string()) for name in ("model_id", "model_version", "deployment"))]
_PART = [("day", pa.int32()), ("version", pa.int32()), ("kind", pa.string()), ("name", pa.string())]
SURVEY = pa.schema(
    [
        ("subject", pa.string()),
        ("file_id", pa.int32()),
        *_GROUP,
        ("value", pa.string()),
        ("row_count", pa.int64()),
        ("sampled_count", pa.int64()),
    ]
)
KEYS = pa.schema(
    [
        ("shard", pa.int64()),
        ("file_id", pa.int32()),
        ("file_row_number", pa.int64()),
        ("event_time", pa.int64()),
        ("code", pa.int32()),
        ("is_sampled", pa.bool_()),
        ("key_hash", pa.int64()),
    ]
)
COUNTS = pa.schema([*_PART, ("number", pa.int32()), ("counts", pa.binary())])
COUNTED = pa.schema([*_PART, ("counts", pa.binary())])
SCORES = pa.schema(
    [
        ("bucket", pa.int32()),
        ("version_id", pa.int32()),
        *_GROUP,
        ("correlation_id", pa.string()),
        ("score", pa.float64()),
    ]
)
# Rows of sql/shadow_sums.sql, and with a difference those of sql/shadow_differences.sql.
SHADOW = pa.schema(
    [
        *_GROUP,
        ("production_version", pa.string()),
        ("bin_id", pa.int32()),
        ("production_bin_id", pa.int32()),
        ("difference", pa.float64()),
        ("row_count", pa.int64()),
        ("difference_sum", pa.decimal128(38, 15)),
        ("squared_difference_sum", pa.decimal128(38, 15)),
        ("both_at_cut_count", pa.int64()),
        ("candidate_at_cut_count", pa.int64()),
        ("production_at_cut_count", pa.int64()),
    ]
)

# Rows of one of service.SUMS, which `part` names; times are microseconds since 1970.
CALLS = pa.schema(
    [
        ("part", pa.string()),
        ("code", pa.int32()),
        ("hour_at", pa.int64()),
        ("node_name", pa.string()),
        ("metric", pa.string()),
        ("bin_id", pa.int32()),
        ("error_kind", pa.string()),
        *(
            (name, pa.int64())
            for name in ("row_count", "prediction_count", "outcome_count", "success_count", "gpu_count")
        ),
        ("gpu_utilization_sum", pa.decimal128(38, 12)),
        ("gpu_utilization_max", pa.float64()),
    ]
)
_PLACE = [("file_id", pa.int32()), ("file_row_number", pa.int64())]
LABELS = pa.schema(
    [
        ("bucket", pa.int32()),
        ("dt", pa.date32()),
        ("correlation_id", pa.string()),
        ("label", pa.float64()),
        ("label_class", pa.string()),
        ("label_time", pa.int64()),
        ("prediction_on", pa.date32()),
        *_PLACE,
    ]
)
PREDICTIONS = pa.schema(
    [
        ("bucket", pa.int32()),
        *_GROUP,
        ("correlation_id", pa.string()),
        ("event_time", pa.int64()),
        ("score", pa.float64()),
        ("predicted_class", pa.string()),
        ("class_scores", pa.map_(pa.string(), pa.float64())),
        ("segments", pa.list_(pa.string())),
        *_PLACE,
    ]
)
ASKED = pa.schema([("dt", pa.date32()), ("prediction_on", pa.date32())])
NODES = pa.schema([("subject", pa.string()), ("dt", pa.date32()), ("value", pa.string()), ("row_count", pa.int64())])

# Subject of a row of SURVEY that is no segment column.
NO_SEGMENT = ""
VALUE_COUNTS = "value_counts"
_ROWS_PER_BATCH = 50_000


@dataclass(frozen=True, slots=True)
class Source:
    """How the files of telemetry, or of labels, are read, whatever the rows of a task are."""

    settings: Settings
    side: Side
    versions: Sequence[ModelVersion]
    blocked: Mapping[date, Collection[str]]


@dataclass(frozen=True, slots=True)
class Task:
    """A shard of a day: `day` is a position, `files` are those of its pieces with their positions among all files.

    `broken` are, by position of the file, the rows that are in quarantine.
    """

    day: int
    number: int
    pieces: Sequence[Piece]
    file_ids: Mapping[str, int]
    broken: Mapping[int, Positions] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Span:
    """Consecutive row groups of a file."""

    file: InputFile
    file_id: int
    start: int
    end: int

    @property
    def is_whole(self) -> bool:
        return self.start == 0 and self.end == self.file.row_count


def survey(source: Source) -> Mapped:
    """How many predictions of each version the files hold, and how often each value of the segment columns comes."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, _ in _tasks(batches):
            with _opened(source, task) as connection:
                counts = queries.table(connection, "prediction_counts")
                yield from _as(SURVEY, counts, subject=NO_SEGMENT)
                for name in source.settings.telemetry.segments:
                    connection.execute(
                        f"create or replace view segment_column as select dt, {queries.quote(name)} as value from predictions"
                    )
                    counts = queries.table(connection, "segment_counts")
                    yield from _as(SURVEY, counts, subject=name)

    return mapped


def keys(source: Source, groups: pa.Table) -> Mapped:
    """The key of every prediction that has one."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, shard in _tasks(batches):
            with _opened(source, task) as connection:
                create_table(connection, "prediction_groups", groups)
                for batch in queries.run(connection, "prediction_keys").to_arrow_reader(_ROWS_PER_BATCH):
                    # as Spark knows them: signed, and a time that is compared as the number it is
                    signed = {name: batch.column(name).view(pa.int64()) for name in ("event_time", "key_hash")}
                    others = {name: batch.column(name) for name in batch.schema.names if name not in signed}
                    yield from _as(KEYS, pa.table(signed | others), shard=shard)

    return mapped


def count(source: Source, groups: pa.Table, days: Sequence[Day]) -> Mapped:
    """The counts of the shards, a row for each version and feature or profile."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            one_by_one = zip(_unpacked(batch), _coded(source, groups, [batch]), strict=True)
            for task, connection in one_by_one:
                for version, counts in enumerate(_count(connection, source, task, days[task.day])):
                    yield _rows_of(task, version, counts)

    return mapped


def add(source: Source, days: Sequence[Day]) -> Applied:
    """All counts of a day, a version and a feature or profile, added in the order of the shards.

    Of values and samples only what is kept: their size is that of the day otherwise.
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


def is_value_counts(kind: str, name: str) -> bool:
    """Whether a row of COUNTED holds rows of the tables of distinct values."""
    return (kind, name) == ("profile", VALUE_COUNTS)


def nodes(source: Source, groups: pa.Table, columns: CallColumns) -> Mapped:
    """How often each node has answered."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for connection in _coded(source, groups, batches):
            service.offer_nodes(connection, columns)
            yield from _as(NODES, queries.table(connection, "segment_counts"), subject="node_id")

    return mapped


def calls(source: Source, groups: pa.Table, columns: CallColumns, kept_nodes: pa.Table) -> Mapped:
    """What the calls of the tasks add to service.SUMS."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for connection in _coded(source, groups, batches):
            queries.run(connection, "service_calls")
            for name, rows in service.sum_calls(connection, columns, kept_nodes).items():
                yield from _as(CALLS, rows, part=name)

    return mapped


def scores(source: Source, groups: pa.Table, bucket_count: int) -> Mapped:
    """Scores of the models that have a candidate, in buckets that both scores of a prediction share."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for connection in _coded(source, groups, batches):
            queries.run(connection, "shadow_scores")
            connection.execute(
                f"select (hash(correlation_id) % {bucket_count})::integer as bucket, * from shadow_scores"
            )
            for found in connection.to_arrow_reader(_ROWS_PER_BATCH):
                yield from _as(SCORES, pa.Table.from_batches([found]))

    return mapped


def pair(source: Source) -> Applied:
    """What the scores of a bucket add to shadow_profile and shadow_differences."""

    def applied(scores: pa.Table) -> pa.Table:
        with open_session(_of_a_task(source.settings)) as connection:
            offer_versions(connection, source.versions, source.settings.models)
            create_table(connection, "shadow_scores", scores)
            found = paired_predictions.sum_pairs(connection)
            return pa.concat_tables([pa.Table.from_batches(_as(SHADOW, part), SHADOW) for part in found])

    return applied


def asked_days(source: Source) -> Mapped:
    """The days of predictions that valid labels name, by the day of their arrival."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, _ in _tasks(batches):
            with _opened(source, task, "labels") as connection:
                yield from _as(ASKED, queries.table(connection, "asked_days"))

    return mapped


def bucketed(source: Source, relation: str, schema: pa.Schema, bucket_count: int) -> Mapped:
    """Rows of `relation` in buckets that a prediction and its labels share; a label without an id has none of its own."""
    columns = ", ".join(queries.quote(name) for name in schema.names[1:])
    rows = f"select (coalesce(hash(correlation_id), 0) % {bucket_count})::integer as bucket, {columns} from {relation}"
    if relation == "predictions":
        rows += " where correlation_id is not null"

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for task, _ in _tasks(batches):
            with _opened(source, task, relation) as connection:
                connection.execute(rows)
                for found in connection.to_arrow_reader(_ROWS_PER_BATCH):
                    yield from _as(schema, pa.Table.from_batches([found]))

    return mapped


def join(source: Source, asked: LabelJoin, awaited: Collection[date], sums: pa.Schema) -> Joined:
    """What the labels and the predictions of a bucket add to each of `LabelJoin.sums`, in one schema."""

    def joined(labels: pa.Table, predictions: pa.Table) -> pa.Table:
        with open_session(_of_a_task(source.settings)) as connection:
            offer_versions(connection, source.versions, source.settings.models)
            offer_bucket(connection, asked, _with_times(labels), _with_times(predictions), awaited)
            asked.judge(connection)
            parts = asked.sums(connection)
            return pa.concat_tables(
                [sums.empty_table()]
                + [pa.Table.from_batches(_as(sums, rows, part=name), sums) for name, rows in parts.items()]
            )

    return joined


def offer_bucket(
    connection: duckdb.DuckDBPyConnection,
    asked: LabelJoin,
    labels: pa.Table,
    predictions: pa.Table,
    awaited: Collection[date],
) -> None:
    """Create the relations that `LabelJoin.judge` and `LabelJoin.sums` read, of the rows of a bucket."""
    of_day = pc.field("dt")
    earlier = labels.filter(of_day < asked.first_day)
    is_new = (of_day >= asked.first_day) & (of_day < asked.new_until)
    relations = {
        "labels": labels.filter(of_day >= asked.first_day),
        "earlier_labels": earlier,
        "recent_labels": earlier.filter(of_day >= asked.recent_from),
        "new_predictions": predictions.filter(is_new),
        "predictions": predictions.filter(of_day.isin(pa.array(sorted(awaited), pa.date32()))),
    }
    for name, rows in relations.items():
        create_table(connection, name, rows)


def _with_times(rows: pa.Table) -> pa.Table:
    """Rows whose times are times again."""
    for place, column in enumerate(rows.schema):
        if column.name in {"label_time", "event_time"}:
            rows = rows.set_column(place, column.name, rows[column.name].cast(pa.timestamp("us")))
    return rows


def _coded(source: Source, groups: pa.Table, batches: Iterable[pa.RecordBatch]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session for each task in which is known which of its rows count."""
    for batch in batches:
        for place, task in enumerate(_unpacked(batch)):
            with _opened(source, task) as connection:
                create_table(connection, "prediction_groups", groups)
                _offer_surplus(connection, batch.column("surplus")[place].values)
                yield connection


def _tasks(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Task, int]]:
    for batch in batches:
        yield from zip(_unpacked(batch), batch.column("shard").to_pylist(), strict=True)


def _unpacked(batch: pa.RecordBatch) -> Iterator[Task]:
    for packed in batch.column("task").to_pylist():
        yield pickle.loads(packed)  # noqa: S301  # packed by the driver


def _opened(source: Source, task: Task, relation: str = "predictions") -> duckdb.DuckDBPyConnection:
    """A session in which `relation` are the rows of a task, numbered as among all files."""
    connection = open_session(_of_a_task(source.settings))
    offer_versions(connection, source.versions, source.settings.models)
    spans = list(_spans(task))
    whole = [span for span in spans if span.is_whole]
    shares = [whole] * bool(whole) + [[span] for span in spans if not span.is_whole]
    relations = [_offer(connection, source, task, share, f"rows_{place}") for place, share in enumerate(shares)]
    connection.execute(f"create view {relation} as {' union all '.join(relations)}")
    return connection


def _offer(
    connection: duckdb.DuckDBPyConnection, source: Source, task: Task, spans: Sequence[_Span], relation: str
) -> str:
    """SQL of the rows of some whole files, or of a part of one, which DuckDB reads no more of."""
    broken = [task.broken.get(span.file_id, _NO_POSITIONS) for span in spans]
    table = None
    if any(map(len, broken)):
        table = f"broken_{relation}"
        places = np.repeat(np.arange(len(spans), dtype=np.int32), [len(rows) for rows in broken])
        create_table(connection, table, pa.table([places, np.concatenate(broken)], SURPLUS_SCHEMA))
    partitions = [
        Partition(dt, tuple(span.file for span in of_day)) for dt, of_day in groupby(spans, lambda span: span.file.dt)
    ]
    side, left_out = source.side, LeftOut(source.blocked, table)
    offer_partitions(
        connection, relation, partitions, side.columns, side.mapping, side.segments, side.class_scores, left_out
    )
    ids = ", ".join(str(span.file_id) for span in spans)
    rows = f"select * replace (list_extract([{ids}], file_id + 1)::integer as file_id) from {relation}"
    if spans[0].is_whole:
        return rows
    return f"{rows} where file_row_number >= {spans[0].start} and file_row_number < {spans[0].end}"


def _spans(task: Task) -> Iterator[_Span]:
    for path, of_file in groupby(task.pieces, lambda piece: piece.file.path):
        pieces = list(of_file)
        yield _Span(pieces[0].file, task.file_ids[path], pieces[0].start, pieces[-1].end)


def _of_a_task(settings: Settings) -> Settings:
    """The settings with what a task may use of its worker."""
    compute = settings.compute.model_copy(update={"threads": 1, "memory_limit": settings.spark.task_memory_limit})
    return settings.model_copy(update={"compute": compute})


def _offer_surplus(connection: duckdb.DuckDBPyConnection, rows: pa.StructArray | None) -> None:
    """Create the table surplus_rows; none if there are no rows."""
    table = pa.Table.from_batches([pa.RecordBatch.from_struct_array(rows)]) if rows is not None else None
    create_table(
        connection, "surplus_rows", table.cast(SURPLUS_SCHEMA) if table is not None else SURPLUS_SCHEMA.empty_table()
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
    """Codes of the rows of a span; no more of its file are held."""

    start: int
    codes: NDArray[np.int32]

    def between(self, piece: Piece) -> NDArray[np.int32]:
        return self.codes[piece.start - self.start : piece.end - self.start]

    def put(self, rows: Positions, codes: NDArray[np.int32] | int) -> None:
        self.codes[rows - self.start] = codes


def _codes(connection: duckdb.DuckDBPyConnection, task: Task) -> Mapping[str, _SpanCodes]:
    spans = list(_spans(task))
    found = {span.file_id: _SpanCodes(span.start, np.full(span.end - span.start, -1, np.int32)) for span in spans}
    for batch in queries.run(connection, "prediction_codes").to_arrow_reader(_ROWS_PER_BATCH):
        ids, rows, codes = (batch.column(name).to_numpy() for name in ("file_id", "file_row_number", "code"))
        counted = np.where(batch.column("is_sampled").to_numpy(zero_copy_only=False), codes, -1)
        for file_id in np.unique(ids).tolist():
            found[file_id].put(rows[ids == file_id], counted[ids == file_id])
    surplus: Mapping[str, Any] = connection.execute("select * from surplus_rows").fetchnumpy()
    for file_id in np.unique(surplus["file_id"]).tolist():
        found[file_id].put(surplus["file_row_number"][surplus["file_id"] == file_id], -1)
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
    rows.add(replace(day, versions=[day.versions[version]]), [VersionCounts({}, {VALUE_COUNTS: counts})])
    with open_session(_of_a_task(settings)) as connection:
        return profile_values(connection, rows.tables(connection)[VALUE_COUNTS])


def _as(schema: pa.Schema, table: pa.Table, **same: Any) -> list[pa.RecordBatch]:
    """Rows in a schema: columns that are the same in all of them are given, what is not there is null."""
    columns = []
    for wanted in schema:
        if wanted.name in same:
            columns.append(pa.repeat(pa.scalar(same[wanted.name], wanted.type), table.num_rows))
        elif wanted.name in table.schema.names:
            columns.append(table[wanted.name].cast(wanted.type))
        else:
            columns.append(pa.nulls(table.num_rows, wanted.type))
    batches: list[pa.RecordBatch] = pa.table(columns, schema).to_batches()
    return batches


_NO_POSITIONS: Positions = np.empty(0, np.int64)
