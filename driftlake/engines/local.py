"""The engine for one machine: DuckDB gives every row its code, then threads count the shards of days in parallel.

It holds a few row groups in memory, whatever the size of a day. Not here: what is counted (`driftlake.profiles.plan`,
`driftlake.profiles.shards`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import chain, islice

import duckdb
import numpy as np
import pyarrow as pa

from driftlake.config import Settings
from driftlake.inputs.partitions import Partition
from driftlake.inputs.predictions import CodedRows, LeftOut, code_rows
from driftlake.lineage.versions import ModelVersion
from driftlake.profiles import paired_predictions, sampling_rates, service_calls
from driftlake.profiles.label_join import Delivered, LabelJoin
from driftlake.profiles.plan import Day, Piece, cut_day
from driftlake.profiles.row_samples import SampledRows, sample_predictions
from driftlake.profiles.rows import ProfileRows, Profiles
from driftlake.profiles.shards import RowGroup, VersionCounts, count_shard
from driftlake.profiles.value_counts import profile_values

# Rows of a deployment in a row group from which two threads pay off: they are slower than one at 20,000 rows and faster
# at 40,000.
_ROWS_WORTH_A_THREAD = 30_000


def profile_partitions(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    partitions: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    left_out: LeftOut | None = None,
) -> Profiles:
    """Profile partitions from the view `predictions`, which `predictions.create_view_of_partitions` has created.

    Columns that are left out on a day (struct.field for a field) are not read.
    """
    blocked = left_out.columns if left_out else {}
    coded = code_rows(connection, partitions, settings.telemetry)
    days = [Day.of(partition, coded, versions, settings, blocked.get(partition.dt, ())) for partition in partitions]
    rows = ProfileRows()
    sampled = settings.drift.multivariate
    samples = sample_predictions(connection, partitions, sampled.sample_rows) if sampled else {}
    for day, counts in _counted(days, coded, samples, settings):
        rows.add(day, counts)
    tables = rows.tables(connection)
    tables |= profile_values(connection, tables.pop("value_counts"))
    tables |= paired_predictions.count_pairs(connection, coded.groups)
    tables |= service_calls.count_service(connection, partitions, settings.telemetry)
    tables["sampling_rates"] = sampling_rates.rows(coded)
    return Profiles(
        tables, [refused for day in days for refused in day.refused], _duplicate_counts(connection, partitions)
    )


def join_labels(
    connection: duckdb.DuckDBPyConnection, _: Settings, join: LabelJoin, delivered: Delivered
) -> Mapping[str, pa.Table]:
    """Join labels to their predictions; only the requested days of predictions are read."""
    labels, telemetry = delivered.labels, delivered.telemetry
    earlier = [label for label in labels if label.dt < join.first_day]
    delivered.create_labels_view("earlier_labels", earlier)
    delivered.create_labels_view("recent_labels", [label for label in earlier if label.dt >= join.recent_from])
    # last, because the search for rows that break their contract uses a relation of this name
    delivered.create_labels_view("labels", [label for label in labels if label.dt >= join.first_day])
    delivered.create_predictions_view(
        "new_predictions", [p for p in telemetry if join.first_day <= p.dt < join.new_until]
    )
    join.judge(connection)
    needed = join.needed_days(connection)
    delivered.create_predictions_view("predictions", [p for p in telemetry if p.dt in needed])
    return join.sums(connection)


def _counted(
    days: Sequence[Day], coded: CodedRows, samples: Mapping[str, SampledRows], settings: Settings
) -> Iterator[tuple[Day, Sequence[VersionCounts]]]:
    """The days, each with the counts of its versions."""

    def row_group(piece: Piece) -> RowGroup:
        path = piece.file.path
        return piece.row_group(coded.codes[path][piece.start : piece.end], samples.get(path))

    shards = [[day.shard(map(row_group, pieces)) for pieces in cut_day(day.partition)] for day in days]
    with ThreadPoolExecutor(_thread_count(days, coded, settings)) as pool:
        counted = pool.map(count_shard, chain.from_iterable(shards))
        for day, shards_of_day in zip(days, shards, strict=True):
            parts = list(islice(counted, len(shards_of_day)))
            yield day, [VersionCounts.combined(of_version) for of_version in zip(*parts, strict=True)]


def _thread_count(days: Sequence[Day], coded: CodedRows, settings: Settings) -> int:
    """How many threads count. Small blocks spend most of their time in Python, which runs one thread at a time."""
    files = [file for day in days for file in day.partition.files]
    block_count = sum(len(file.row_group_sizes) * np.count_nonzero(coded.row_counts[file.path]) for file in files)
    row_count = sum(day.partition.row_count for day in days)
    return settings.compute.threads if row_count >= _ROWS_WORTH_A_THREAD * block_count else 1


def _duplicate_counts(connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition]) -> Mapping[date, int]:
    days = [partition.dt for partition in partitions for _ in partition.files]
    rows = connection.execute("select file_id, count(*) from duplicate_rows group by file_id").fetchall()
    counts: Counter[date] = Counter()
    for file_id, row_count in rows:
        counts[days[file_id]] += row_count
    return counts
