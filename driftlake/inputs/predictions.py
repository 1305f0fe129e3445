"""Predictions as one conformed relation: the user's columns under canonical names, every row with its code.

A *row code* says what a row belongs to (day, model version, deployment); rows that do not count (unknown version,
duplicate, outside the sample) have none. Not here: features (`driftlake.profiles.plan`) and the join with labels (`driftlake.nightly.label_source`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import ModelSettings, TelemetrySettings
from driftlake.inputs.columns import CanonicalColumn
from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.parquet_sql import Layout, ParquetFile, layouts_of
from driftlake.inputs.partitions import Partition
from driftlake.lake import queries
from driftlake.lake.session import create_table
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.segments import SegmentColumn
from driftlake.maths.value_text import family, has_text, sql_category

# Number of keys of predictions that are compared at a time: a quarter of a gigabyte, however large a day is.
_KEYS_AT_ONCE = 32_000_000
_ROWS_PER_BATCH = 200_000
# values that are never personal data, whatever else the column contains
_WELL_KNOWN = {"deployment": ("production", "shadow", "canary"), "segment": ("all",)}


@dataclass(frozen=True, slots=True)
class PredictionGroup:
    """What a row code stands for."""

    dt: date
    model_id: str
    model_version: str
    deployment: str


@dataclass(frozen=True, slots=True)
class CodedRows:
    """Codes of every row of some files: `codes[path]` has shape (rows of the file,), -1 for rows that do not count.

    A code is a position in `groups`, which are in order of day, version and deployment; `sampling_rates` are theirs. Rows
    outside the sample do not count either: `row_counts[path]` are those with and without them, shape (groups,), and
    `sampled_counts[path]` those that count.
    """

    groups: tuple[PredictionGroup, ...]
    codes: Mapping[str, NDArray[Any]]
    segment_columns: Mapping[date, Sequence[SegmentColumn]]
    sampling_rates: tuple[float, ...]
    row_counts: Mapping[str, NDArray[np.int64]]
    sampled_counts: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: canonical columns, and their names in the files where these differ.

    `segments` are those of the columns whose values are segments, `class_scores` the path of the scores of each class,
    `percent_versions` the models and versions whose scores are percentages.
    """

    columns: Sequence[CanonicalColumn]
    mapping: Mapping[str, str]
    segments: Sequence[str] = ()
    class_scores: Mapping[str, str] = field(default_factory=dict)
    percent_versions: Collection[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The parts of the files that are left out: columns, by day and name in the files, and the rows listed in a table.

    The table has file_id and file_row_number.
    """

    columns: Mapping[date, Collection[str]] = field(default_factory=dict)
    rows: str | None = None


def percent_versions(versions: Iterable[ModelVersion]) -> list[tuple[str, str]]:
    """Model and version of those whose scores are percentages."""
    return [(version.model_id, version.model_version) for version in versions if version.score_divisor != 1]


def create_version_tables(
    connection: duckdb.DuckDBPyConnection,
    versions: Sequence[ModelVersion],
    models: Mapping[str, ModelSettings],
) -> None:
    """Create the tables `versions` and `score_cells` (the bin of every cell of the score grids that were learned)."""
    rows = [
        {
            "version_id": version_id,
            "model_id": version.model_id,
            "model_version": version.model_version,
            "score_kind": version.score_kind,
            "task": version.task,
            "training_dataset_id": version.training_dataset_id,
            "quantile": version.quantile,
            "classes": list(version.class_names) or None,
            "positive_label": version.positive_label,
            "negative_label": version.negative_label,
            "decision_cut": version.decision_cut(model := models.get(version.model_id)),
            "sampling_rate": model.sampling_rate if model else 1.0,
            **({f"grid_{part}": getattr(grid, part) for part in _GRID_PARTS} if (grid := version.score_grid) else {}),
        }
        for version_id, version in enumerate(versions)
    ]
    cells = [
        {"version_id": version_id, "cell": cell, "bin_id": bin_id}
        for version_id, version in enumerate(versions)
        if version.score_bins and version.score_kind == "value"
        for cell, bin_id in enumerate(version.score_bins.bin_of_cells().tolist())
    ]
    create_table(connection, "versions", pa.Table.from_pylist(rows, schema=_VERSIONS_SCHEMA))
    create_table(connection, "score_cells", pa.Table.from_pylist(cells, schema=_SCORE_CELLS_SCHEMA))


def create_view_of_partitions(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    partitions: Sequence[Partition],
    reading: Reading,
    left_out: LeftOut | None = None,
) -> None:
    """Create the view `relation`: canonical columns, dt, file_id (position among the files) and file_row_number.

    Optional columns that no file has are null. The column `segments` lists the segments that a row is in. The column
    `class_scores` is a map from class to score, null if no class has any. Columns that are left out on a day are null
    there and form no segments. Well-known deployments and segments of sums stay; the others become (left out).
    """
    left_out = left_out or LeftOut()
    files = [file for partition in partitions for file in partition.files]
    if not any(file.row_count for file in files):
        nothing = [f"cast(null as {column.sql_type}) as {queries.quote(column.name)}" for column in reading.columns]
        nothing += ["cast(null as date) as dt", "cast(null as integer) as file_id", "cast([] as varchar[]) as segments"]
        nothing += ["cast(null as bigint) as file_row_number", f"{_scores_by_class(None, {})} as class_scores"]
        connection.execute(f"create or replace view {relation} as select {', '.join(nothing)} where false")
        return
    layouts = _layouts(files, reading)
    rows = " union all ".join(_rows_of_layout(layout, files, reading, left_out.columns) for layout in layouts)
    if left_out.rows:
        broken = f"select file_id, file_row_number from {queries.quote(left_out.rows)}"
        kept = f"(file_id, file_row_number) not in ({broken})"
        rows = f"select * from ({rows}) where {kept}"
    connection.execute(f"create or replace view {relation} as {rows}")


def _layouts(files: Sequence[InputFile], reading: Reading) -> Sequence[Layout]:
    """The files that have rows, by their positions among all; files whose column types differ in kind are read separately.

    If they were read together, DuckDB would convert them to one type, and the text of a value would depend on the other
    files.
    """
    filled = [position for position, file in enumerate(files) if file.row_count]
    read = dict.fromkeys(column.source_name(reading.mapping) for column in reading.columns)
    names = [*read, *(name for name in reading.segments if name not in read)]

    def kinds(file: ParquetFile) -> Hashable:
        assert isinstance(file, InputFile)
        return tuple(_kind_of(file, name) for name in names)

    layouts = layouts_of([files[position] for position in filled], kinds)
    return [replace(layout, positions=[filled[place] for place in layout.positions]) for layout in layouts]


def _kind_of(file: InputFile, name: str) -> str | None:
    if name not in file.columns:
        return None
    return "unread" if name in file.unread_columns else family(file.columns[name])


def _rows_of_layout(
    layout: Layout, files: Sequence[InputFile], reading: Reading, blocked: Mapping[date, Collection[str]]
) -> str:
    """SQL of the rows of the files of a layout, which are among `files`."""
    own_files = [files[position] for position in layout.positions]
    selected = []
    divided = _as_probability(layout, own_files, reading)
    for column in reading.columns:
        own = column.source_name(reading.mapping)
        value = column.value(*_readable(layout, own_files, own))
        if column.name == "score":
            value = divided(value)
        instead = _well_known(value, _WELL_KNOWN[column.name]) if column.name in _WELL_KNOWN else "null"
        value = _unless_blocked(own_files, own, value, instead, blocked)
        selected.append(f"{value} as {queries.quote(column.name)}")
    named = [
        f"{queries.literal(name + '=')} || coalesce({_name(*_readable(layout, own_files, name))}, '(missing)')"
        for name in reading.segments
    ]
    kept = [
        _unless_blocked(own_files, name, value, "null", blocked)
        for name, value in zip(reading.segments, named, strict=True)
    ]
    listed = f"cast([{', '.join(kept)}] as varchar[])"
    selected.append(f"{listed if kept == named else f'list_filter({listed}, lambda s: s is not null)'} as segments")
    selected.append(f"{_scores_by_class(layout, reading.class_scores, divided)} as class_scores")
    days = ", ".join(f"date '{file.dt}'" for file in own_files)
    file_id = "file_index::integer"
    if len(own_files) < len(files):
        file_id = f"list_extract([{', '.join(map(str, layout.positions))}], file_index::bigint + 1)::integer"
    return (
        f"select {', '.join(selected)}, list_extract([{days}], file_index::bigint + 1) as dt,"
        f" {file_id} as file_id, file_row_number from {layout.source(is_numbered=True)}"
    )


def _readable(layout: Layout, files: Sequence[InputFile], path: str) -> tuple[str | None, pa.DataType | None]:
    """SQL and type of a column, or of a field of a struct column by its path; None twice if files do not have it, or not to be read."""
    if path in files[0].unread_columns:
        return None, None
    return layout.value(path), layout.kind(path)


def _name(expression: str | None, kind: pa.DataType | None) -> str:
    if expression is None or kind is None or not has_text(kind):
        return "cast(null as varchar)"
    return sql_category(expression, kind)


def _unless_blocked(
    files: Sequence[InputFile], column: str, value: str, instead: str, blocked: Mapping[date, Collection[str]]
) -> str:
    """SQL of a value of a column, or of its replacement on days on which the column is blocked."""
    places = [str(place) for place, file in enumerate(files) if column in blocked.get(file.dt, ())]
    return f"case when file_index in ({', '.join(places)}) then {instead} else {value} end" if places else value


def _well_known(value: str, names: Sequence[str]) -> str:
    listed = ", ".join(queries.literal(name) for name in names)
    return f"case when {value} is null or {value} in ({listed}) then {value} else '(left out)' end"


def _as_probability(layout: Layout, files: Sequence[InputFile], reading: Reading) -> Callable[[str], str]:
    """A function that turns SQL of a score into SQL of a probability for versions that give percentages."""
    if not reading.percent_versions:
        return str
    by_name = {column.name: column for column in reading.columns}
    owner = ", ".join(
        by_name[name].value(*_readable(layout, files, by_name[name].source_name(reading.mapping)))
        for name in ("model_id", "model_version")
    )
    listed = ", ".join(f"({', '.join(map(queries.literal, version))})" for version in reading.percent_versions)
    return lambda score: f"if(({owner}) in ({listed}), {score} / 100, {score})"


def _scores_by_class(layout: Layout | None, paths: Mapping[str, str], divided: Callable[[str], str] = str) -> str:
    """SQL of the map from class to score."""
    found = {name: value for name, path in paths.items() if layout and (value := layout.value(path))}
    if not found:
        return "cast(null as map(varchar, double))"
    names = ", ".join(queries.literal(name) for name in found)
    scores = ", ".join(divided(f"try_cast({value} as double)") for value in found.values())
    return f"map([{names}], [{scores}])"


def code_rows(
    connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition], telemetry: TelemetrySettings
) -> CodedRows:
    """Give every row of the view `predictions` its code: identifiers and segments are read, features are not.

    Leaves the tables `prediction_groups` and `duplicate_rows` (rows delivered twice, which do not count) in the session.
    """
    groups, rates = prediction_groups(connection)
    files = [file for partition in partitions for file in partition.files]
    offsets = np.cumsum([0, *(file.stored_row_count for file in files)])
    codes = np.full(offsets[-1], -1, dtype=np.min_scalar_type(-len(groups) - 1))
    is_sampled = np.ones(len(codes), np.bool_) if any(rate < 1 for rate in rates) else None
    duplicates: list[pa.RecordBatch] = []
    passes = 1 + len(codes) // _KEYS_AT_ONCE
    for number in range(passes):
        keys = []
        for batch in queries.run(connection, "inputs/prediction_codes").to_arrow_reader(_ROWS_PER_BATCH):
            places = _places(batch, offsets)
            codes[places] = batch.column("code").to_numpy()
            if is_sampled is not None:
                is_sampled[places] = batch.column("is_sampled").to_numpy(zero_copy_only=False)
            batch_keys = batch.column("key_hash").drop_null().to_numpy()
            keys.append(batch_keys if passes == 1 else batch_keys[batch_keys % passes == number])
        duplicates += _duplicate_predictions(connection, keys)
    for batch in duplicates:
        codes[_places(batch, offsets)] = -1
    create_table(connection, "duplicate_rows", pa.Table.from_batches(duplicates, ROW_POSITIONS_SCHEMA))
    codes_of_files = {file.path: codes[offsets[i] : offsets[i + 1]] for i, file in enumerate(files)}
    # duplicates are found before sampling, so that all are reported; they share an id, so either order counts the same
    # rows
    row_counts = sampled_counts = _row_counts(codes_of_files, len(groups))
    if is_sampled is not None:
        codes[~is_sampled] = -1
        sampled_counts = _row_counts(codes_of_files, len(groups))
    segment_columns = _segment_columns(connection, telemetry)
    return CodedRows(groups, codes_of_files, segment_columns, rates, row_counts, sampled_counts)


def prediction_groups(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[PredictionGroup, ...], tuple[float, ...]]:
    """What the predictions belong to, by code, and the sampling rates; leaves the table `prediction_groups`."""
    queries.run(connection, "inputs/prediction_groups")
    found = connection.execute(
        "select dt, model_id, model_version, deployment, sampling_rate from prediction_groups order by code"
    ).fetchall()
    return tuple(PredictionGroup(*row[:-1]) for row in found), tuple(row[-1] for row in found)


def _row_counts(codes: Mapping[str, NDArray[Any]], group_count: int) -> Mapping[str, NDArray[np.int64]]:
    """Rows of each code in each file."""
    return {path: np.bincount(of_file + 1, minlength=group_count + 1)[1:] for path, of_file in codes.items()}


def _segment_columns(
    connection: duckdb.DuckDBPyConnection, telemetry: TelemetrySettings
) -> Mapping[date, Sequence[SegmentColumn]]:
    """The segments of each day."""
    columns: defaultdict[date, list[SegmentColumn]] = defaultdict(list)
    for name in telemetry.segments:
        connection.execute(
            f"create or replace view segment_column as select dt, {queries.quote(name)} as value from predictions"
        )
        rows = queries.run(connection, "inputs/segment_values", value_count=telemetry.segment_limit).fetchall()
        values: dict[date, list[str]] = {
            dt: [] for (dt,) in connection.execute("select distinct dt from prediction_groups").fetchall()
        }
        for dt, value in rows:
            # nothing is counted on a day without a registered version
            if dt in values:
                values[dt].append(value)
        for dt, of_day in values.items():
            columns[dt].append(SegmentColumn(name, tuple(of_day)))
    return columns


def _places(batch: pa.RecordBatch, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of rows in all files together."""
    places: NDArray[np.int64] = offsets[batch.column("file_id").to_numpy()] + batch.column("file_row_number").to_numpy()
    return places


def _duplicate_predictions(
    connection: duckdb.DuckDBPyConnection, keys: Sequence[NDArray[np.uint64]]
) -> Iterable[pa.RecordBatch]:
    """Positions of the repeated deliveries of predictions: all but the earliest.

    Sorting the keys here takes a tenth of the time of grouping by them: nearly always no key occurs twice.
    """
    ordered = np.sort(np.concatenate(keys)) if keys else np.empty(0, np.uint64)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return []
    create_table(connection, "repeated_keys", pa.table({"key_hash": pa.array(repeated, pa.uint64())}))
    duplicates: Iterable[pa.RecordBatch] = queries.run(connection, "inputs/duplicate_predictions").to_arrow_reader(
        _ROWS_PER_BATCH
    )
    return duplicates


ROW_POSITIONS_SCHEMA = pa.schema([("file_id", pa.int32()), ("file_row_number", pa.int64())])
_GRID_PARTS = ("transform", "scale", "lower", "upper", "cells", "borders")
_VERSIONS_SCHEMA = pa.schema(
    [
        ("version_id", pa.int32()),
        ("model_id", pa.string()),
        ("model_version", pa.string()),
        ("score_kind", pa.string()),
        ("task", pa.string()),
        ("training_dataset_id", pa.string()),
        ("quantile", pa.float64()),
        ("classes", pa.list_(pa.string())),
        ("positive_label", pa.string()),
        ("negative_label", pa.string()),
        ("decision_cut", pa.float64()),
        ("sampling_rate", pa.float64()),
        ("grid_transform", pa.string()),
        ("grid_scale", pa.float64()),
        ("grid_lower", pa.float64()),
        ("grid_upper", pa.float64()),
        ("grid_cells", pa.int32()),
        ("grid_borders", pa.list_(pa.float64())),
    ]
)
_SCORE_CELLS_SCHEMA = pa.schema([("version_id", pa.int32()), ("cell", pa.int64()), ("bin_id", pa.int32())])
