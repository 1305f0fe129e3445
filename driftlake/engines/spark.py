"""The engine for a cluster: Spark's workers run the same SQL and kernel as a single machine, and Spark adds their counts.

The driver plans a day from the footers of its files and receives profiles; rows of telemetry never reach it. A day is
divided into the same shards as on a single machine and their counts are added in the same order, so the rows are
exactly equal. Not
here: what a task does (`driftlake.engines.worker`), labels (`driftlake.engines.spark_labels`) and the session
(`driftlake.engines.cluster`).
"""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import Settings
from driftlake.engines import cluster, wire, worker
from driftlake.engines.frames import (
    as_workers_need,
    broken_rows,
    mapped,
    planned_tasks,
    spark_schema,
    summed,
    task_rows,
)
from driftlake.engines.spark_labels import join_labels
from driftlake.engines.tasks import Source, Task
from driftlake.inputs.columns import telemetry_columns
from driftlake.inputs.partitions import Partition
from driftlake.inputs.predictions import (
    CodedRows,
    LeftOut,
    Reading,
    create_version_tables,
    percent_versions,
    prediction_groups,
)
from driftlake.lake.session import connect, create_table
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.segments import SegmentColumn
from driftlake.profiles import paired_predictions, sampling_rates, service_calls
from driftlake.profiles.plan import Day
from driftlake.profiles.rows import ProfileRows, Profiles
from driftlake.profiles.shards import VersionCounts
from driftlake.profiles.value_counts import profile_values

__all__ = ["join_labels", "profile_partitions"]

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def profile_partitions(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    partitions: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    left_out: LeftOut | None = None,
) -> Profiles:
    """Profile partitions without `left_out`; `connection` has the table of quarantined rows."""
    left_out = left_out or LeftOut()
    telemetry = settings.telemetry
    columns = telemetry_columns(telemetry.segments, telemetry.latencies, telemetry.timezone)
    side = Reading(columns, telemetry.columns, percent_versions=percent_versions(versions.values()))
    spark = cluster.session(settings.spark)
    source = Source(
        settings,
        side,
        as_workers_need(list(versions.values())),
        left_out.columns,
    )
    tasks = planned_tasks(partitions, broken_rows(connection, left_out.rows))
    with connect(settings) as session, cluster.errors_of(settings.spark):
        create_version_tables(session, source.versions, settings.models)
        return _Scan(spark, session, source, partitions, versions, tasks).profiles()


@dataclass
class _Scan:
    """One scan of partitions; `session` is a DuckDB connection for the results."""

    spark: SparkSession
    session: duckdb.DuckDBPyConnection
    source: Source
    partitions: Sequence[Partition]
    versions: Mapping[tuple[str, str], ModelVersion]
    tasks: Sequence[Task]

    def profiles(self) -> Profiles:
        """Rows of the profile tables."""
        survey = mapped(task_rows(self.spark, self.tasks), worker.surveyor(self.source), wire.SURVEY)
        survey = summed(survey, "row_count", "sampled_count").persist()
        predictions = survey.where(survey.subject == wire.NO_SEGMENT).toArrow()
        create_table(self.session, "predictions", predictions)
        groups, rates = prediction_groups(self.session)
        segment_columns = self._segment_columns(survey, {group.dt for group in groups})
        survey.unpersist()
        coding = self.session.execute("select * from prediction_groups").to_arrow_table()
        duplicates = self._duplicates(coding).persist()
        row_counts, sampled_counts, duplicate_counts = self._row_counts(len(groups), duplicates)
        coded = CodedRows(groups, {}, segment_columns, rates, row_counts, sampled_counts)
        days = [
            Day.of(partition, coded, self.versions, self.source.settings, self.source.blocked.get(partition.dt, ()))
            for partition in self.partitions
        ]
        tasks = task_rows(self.spark, self.tasks, duplicates).persist()
        tables = self._counted(tasks, coding, days)
        if paired_predictions.has_candidate(groups):
            tables |= self._paired(tasks, coding)
        else:
            tables |= paired_predictions.no_pairs()
        tables |= self._called(tasks, coding)
        tasks.unpersist()
        duplicates.unpersist()
        tables["sampling_rates"] = sampling_rates.rows(coded)
        return Profiles(tables, [refused for day in days for refused in day.refused], duplicate_counts)

    def _segment_columns(self, survey: DataFrame, days: set[date]) -> Mapping[date, Sequence[SegmentColumn]]:
        """The segments of each day."""
        names = self.source.settings.telemetry.segments
        if not names:
            return {}
        values = defaultdict(list)
        for row in self._most_frequent(survey.where(survey.subject != wire.NO_SEGMENT)).to_pylist():
            values[row["subject"], row["dt"]].append(row["value"])
        return {day: [SegmentColumn(name, tuple(values[name, day])) for name in names] for day in days}

    def _most_frequent(self, counts: DataFrame) -> pa.Table:
        """The values of each subject and day that become segments, as in sql/inputs/segment_values.sql."""
        from pyspark.sql import Window
        from pyspark.sql import functions as f

        of_day = Window.partitionBy("subject", "dt").orderBy(f.desc("row_count"), "value")
        placed = counts.withColumn("place", f.row_number().over(of_day))
        kept = placed.where(f.col("place") <= self.source.settings.telemetry.segment_limit)
        return kept.select("subject", "dt", "value").toArrow().sort_by("value")

    def _duplicates(self, coding: pa.Table) -> DataFrame:
        """Repeated predictions, without the earliest of each."""
        from pyspark.sql import Window
        from pyspark.sql import functions as f

        keys = mapped(task_rows(self.spark, self.tasks), worker.key_reader(self.source, coding), wire.KEYS)
        of_key = Window.partitionBy("key_hash").orderBy(f.asc_nulls_last("event_time"), "file_id", "file_row_number")
        return (
            keys.withColumn("place", f.row_number().over(of_key))
            .where("place > 1")
            .drop("place", "event_time", "key_hash")
        )

    def _row_counts(self, group_count: int, duplicates: DataFrame) -> tuple[Any, Any, Mapping[date, int]]:
        """Numbers of rows and of sampled rows by code and file, and the number of repeated rows of each day."""
        files = [file for partition in self.partitions for file in partition.files]
        row_counts, sampled_counts = (np.zeros((len(files), group_count), np.int64) for _ in range(2))
        found = self.session.execute(
            "select p.file_id, g.code, p.row_count, p.sampled_count from predictions as p"
            " inner join prediction_groups as g using (dt, model_id, model_version, deployment)"
        )
        for file_id, code, row_count, sampled_count in found.fetchall():
            row_counts[file_id, code] += row_count
            sampled_counts[file_id, code] += sampled_count
        duplicate_counts: Counter[date] = Counter()
        for row in duplicates.groupBy("file_id", "code", "is_sampled").count().toArrow().to_pylist():
            place = row["file_id"], row["code"]
            row_counts[place] -= row["count"]
            sampled_counts[place] -= row["count"] * row["is_sampled"]
            duplicate_counts[files[row["file_id"]].dt] += row["count"]
        paths = [file.path for file in files]
        return (
            dict(zip(paths, row_counts, strict=True)),
            dict(zip(paths, sampled_counts, strict=True)),
            duplicate_counts,
        )

    def _counted(self, tasks: DataFrame, coding: pa.Table, days: Sequence[Day]) -> dict[str, pa.Table]:
        """Rows of the tables that the kernel fills."""
        counts = mapped(tasks, worker.shard_counter(self.source, coding, days), wire.COUNTS)
        added = counts.groupBy("day", "version", "kind", "name").applyInArrow(
            worker.count_adder(self.source, days), spark_schema(wire.COUNTED)
        )
        # by day and version, then as in VersionCounts
        found: dict[tuple[int, int], dict[str, dict[str, Any]]] = defaultdict(lambda: {"feature": {}, "profile": {}})
        distinct = []
        for row in added.toArrow().to_pylist():
            counted = pickle.loads(row["counts"])  # noqa: S301  # packed by our workers
            if wire.is_value_counts(row["kind"], row["name"]):
                distinct.append(counted)
            else:
                found[row["day"], row["version"]][row["kind"]][row["name"]] = counted
        rows = ProfileRows()
        for place, day in enumerate(days):
            of_versions = [found[place, version] for version in range(len(day.versions))]
            rows.add(day, [VersionCounts(row["feature"], row["profile"]) for row in of_versions])
        tables = rows.tables(self.session)
        nothing = profile_values(self.session, tables.pop("value_counts"))
        return tables | {
            name: pa.concat_tables([empty, *(values[name] for values in distinct)]) for name, empty in nothing.items()
        }

    def _paired(self, tasks: DataFrame, coding: pa.Table) -> dict[str, pa.Table]:
        """Rows of shadow_profile and shadow_differences."""
        rows = sum(partition.row_count for partition in self.partitions)
        buckets = 1 + rows // self.source.settings.spark.rows_per_task
        scores = mapped(tasks, worker.score_reader(self.source, coding, buckets), wire.SCORES)
        pairs = scores.groupBy("bucket").applyInArrow(worker.pair_counter(self.source), spark_schema(wire.SHADOW))
        sums = [name for name in wire.SHADOW.names if name.endswith(("_count", "_sum"))]
        found = summed(pairs, *sums).persist()
        differences = found.where("difference is not null").drop("production_bin_id", *sums[1:])
        profile = found.where("difference is null").drop("difference")
        tables = {
            "shadow_profile": paired_predictions.profile_of(self.session, profile.toArrow()),
            "shadow_differences": differences.toArrow(),
        }
        found.unpersist()
        return tables

    def _called(self, tasks: DataFrame, coding: pa.Table) -> Mapping[str, pa.Table]:
        """Rows of the tables of service_calls.TABLES."""
        columns = service_calls.CallColumns.of(self.partitions, self.source.settings.telemetry)
        nodes = _NO_NODES
        if columns.has_nodes:
            counted = mapped(tasks, worker.node_counter(self.source, coding, columns), wire.NODES)
            nodes = self._most_frequent(summed(counted, "row_count")).drop_columns(["subject"])
        calls = wire.CALLS.empty_table()
        if columns.names:
            found = mapped(tasks, worker.call_counter(self.source, coding, columns, nodes), wire.CALLS)
            sums = [name for name in found.columns if name.endswith(("_count", "_sum"))]
            calls = summed(found, *sums, largest=["gpu_utilization_max"]).toArrow()
        place = calls.schema.get_field_index("hour_at")
        calls = calls.set_column(place, "hour_at", calls["hour_at"].cast(pa.timestamp("us")))
        return service_calls.tables_of(
            self.session, {name: calls.filter(pc.field("part") == name) for name in service_calls.SUMS}
        )


_NO_NODES = pa.schema([("dt", pa.date32()), ("value", pa.string())]).empty_table()
