"""The engine of a cluster: Spark's workers run the SQL and the kernel of one machine, and Spark adds what they count.

The driver plans a day from the footers of its files and gets profiles back; rows of telemetry never reach it. A day is
cut into the shards of one machine and their counts are added in the same order, so the rows are equal to the last digit.
Not here: what a task does (worker.py) and the session (cluster.py).
"""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftlake import paired_predictions, queries, sampling, service
from driftlake.columns import CanonicalColumn, telemetry_columns
from driftlake.config import Settings
from driftlake.distinct import profile_values
from driftlake.engines import cluster, worker
from driftlake.inputs import Partition
from driftlake.label_join import Delivered, LabelJoin, Side
from driftlake.profiling import Day, ProfileRows, Profiles, cut_day
from driftlake.segments import SegmentColumn
from driftlake.session import connect, create_table
from driftlake.shards import VersionCounts
from driftlake.telemetry import CodedRows, LeftOut, offer_versions, paths_of, prediction_groups
from driftlake.versions import ModelVersion

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Tasks for each core: few enough that starting them costs little, enough that a slow worker holds nobody up.
_TASKS_PER_CORE = 4


def profile_partitions(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    partitions: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    left_out: LeftOut | None = None,
) -> Profiles:
    """Profile partitions, of which `left_out` is left out; `connection` has the table of the rows that are."""
    left_out = left_out or LeftOut()
    telemetry = settings.telemetry
    side = Side(telemetry_columns(telemetry.segments, telemetry.latencies), telemetry.columns)
    spark = cluster.session(settings.spark)
    source = worker.Source(
        settings,
        _side(connection, side, partitions),
        [replace(version, **_NOT_COUNTED_BY) for version in versions.values()],
        left_out.columns,
    )
    tasks = _tasks(partitions, _broken_rows(connection, left_out.rows))
    with connect(settings) as session, cluster.errors_of(settings.spark):
        offer_versions(session, source.versions, settings.models)
        return _Scan(spark, session, source, partitions, versions, tasks).profiles()


def join_labels(
    connection: duckdb.DuckDBPyConnection, settings: Settings, join: LabelJoin, delivered: Delivered
) -> Mapping[str, pa.Table]:
    """Join labels to their predictions: both are cut into buckets by correlation id, and each bucket is joined alone."""
    spark = cluster.session(settings.spark)
    versions = [replace(version, **_NOT_COUNTED_BY) for version in delivered.versions]
    earlier = [label for label in delivered.labels if label.dt < join.first_day]
    labels = [*earlier, *(label for label in delivered.labels if label.dt >= join.first_day)]
    left_out = delivered.offer_labels("labels", labels)
    label_source = worker.Source(settings, _side(connection, delivered.label_side, labels), versions, left_out.columns)
    label_tasks = _tasks(labels, _broken_rows(connection, left_out.rows))
    label_rows = _task_rows(spark, label_tasks)
    with cluster.errors_of(settings.spark):
        awaited = _awaited_days(connection, join, _mapped(label_rows, worker.asked_days(label_source), worker.ASKED))
        telemetry = [p for p in delivered.telemetry if p.dt in awaited or join.first_day <= p.dt < join.new_until]
        left_out = delivered.offer_predictions("predictions", telemetry)
        source = worker.Source(
            settings, _side(connection, delivered.prediction_side, telemetry), versions, left_out.columns
        )
        prediction_rows = _task_rows(spark, _tasks(telemetry, _broken_rows(connection, left_out.rows)))
        rows = sum(partition.row_count for partition in (*labels, *telemetry))
        buckets = 1 + rows // settings.spark.rows_per_task
        schemas = _schemas_of_sums(settings, versions, join)
        together = _together(schemas)
        found = [
            _mapped(tasks, worker.bucketed(side, relation, schema, buckets), schema).groupBy("bucket")
            for tasks, side, relation, schema in (
                (label_rows, label_source, "labels", worker.LABELS),
                (prediction_rows, source, "predictions", worker.PREDICTIONS),
            )
        ]
        counts = (
            found[0]
            .cogroup(found[1])
            .applyInArrow(worker.join(source, join, awaited, together), _spark_schema(together))
        )
        sums = [name for name in together.names if name.endswith(("_count", "_sum"))]
        added = _added(counts, *sums).toArrow()
    return {
        name: added.filter(pc.field("part") == name).select(schema.names).cast(schema)
        for name, schema in schemas.items()
    }


def _awaited_days(connection: duckdb.DuckDBPyConnection, join: LabelJoin, asked: DataFrame) -> Collection[date]:
    """Days of predictions that labels ask for; that some are repetitions, which ask for nothing, is not known yet."""
    create_table(connection, "asked_days", asked.distinct().toArrow())
    connection.execute(
        "create or replace table label_rows as"
        " select *, true as is_valid, false as is_duplicate, false as is_conflict from asked_days"
    )
    return join.awaited_days(connection)


def _schemas_of_sums(settings: Settings, versions: Sequence[ModelVersion], join: LabelJoin) -> Mapping[str, pa.Schema]:
    """What the counts of nothing look like."""
    labels, predictions = (
        schema.empty_table().set_column(place, name, pa.array([], pa.timestamp("us")))
        for schema, place, name in ((worker.LABELS, 5, "label_time"), (worker.PREDICTIONS, 6, "event_time"))
    )
    with connect(settings) as session:
        offer_versions(session, versions, settings.models)
        worker.offer_bucket(session, join, labels, predictions, [])
        join.judge(session)
        return {name: rows.schema for name, rows in join.sums(session).items()}


def _together(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """One schema for rows of several; `part` says which they are of."""
    columns = {column.name: column.type for schema in schemas.values() for column in schema}
    return pa.schema([("part", pa.string()), *columns.items()])


# What a version has for the comparison with its training, which no worker needs.
_NOT_COUNTED_BY: Mapping[str, Any] = {
    "reference_counts": {},
    "segment_reference_counts": {},
    "training_labels": None,
    "feature_types": {},
}


def _side(connection: duckdb.DuckDBPyConnection, side: Side, partitions: Sequence[Partition]) -> Side:
    """A column that files have in several types is read as what DuckDB makes of all of them together."""
    files = [file for partition in partitions for file in partition.files]

    def is_mixed(column: CanonicalColumn) -> bool:
        return len({file.columns.get(column.own_name(side.mapping)) for file in files} - {None}) > 1

    if not any(map(is_mixed, side.columns)):
        return side
    described = connection.execute(
        f"describe select * from read_parquet([{paths_of(files)}], union_by_name = true, hive_partitioning = false)"
    )
    kinds = {name: kind for name, kind, *_ in described.fetchall()}
    columns = [
        replace(column, reading=column.reading.replace("{0}", f"cast({{0}} as {kinds[column.own_name(side.mapping)]})"))
        if is_mixed(column)
        else column
        for column in side.columns
    ]
    return replace(side, columns=columns)


def _tasks(partitions: Sequence[Partition], broken: Mapping[int, worker.Positions]) -> list[worker.Task]:
    """The shards of all days; files are numbered over all of them."""
    ids: dict[str, int] = {}
    for partition in partitions:
        ids |= {file.path: len(ids) + place for place, file in enumerate(partition.files)}
    tasks = []
    for day, partition in enumerate(partitions):
        for number, pieces in enumerate(cut_day(partition)):
            own = {piece.file.path: ids[piece.file.path] for piece in pieces}
            out = {file_id: broken[file_id] for file_id in own.values() if file_id in broken}
            tasks.append(worker.Task(day, number, pieces, own, out))
    return tasks


def _broken_rows(connection: duckdb.DuckDBPyConnection, table: str | None) -> dict[int, worker.Positions]:
    """Rows in quarantine by the position of their file."""
    if table is None:
        return {}
    rows: Mapping[str, Any] = connection.execute(
        f"select file_id, file_row_number from {queries.quote(table)} order by all"
    ).fetchnumpy()
    ids, starts = np.unique(rows["file_id"], return_index=True)
    return dict(zip(ids.tolist(), np.split(rows["file_row_number"].astype(np.int64), starts[1:]), strict=True))


@dataclass
class _Scan:
    """One scan of some partitions; `session` is a DuckDB for what came back."""

    spark: SparkSession
    session: duckdb.DuckDBPyConnection
    source: worker.Source
    partitions: Sequence[Partition]
    versions: Mapping[tuple[str, str], ModelVersion]
    tasks: Sequence[worker.Task]

    def profiles(self) -> Profiles:
        """Rows of the profile tables."""
        survey = _mapped(_task_rows(self.spark, self.tasks), worker.survey(self.source), worker.SURVEY)
        survey = _added(survey, "row_count", "sampled_count").persist()
        predictions = survey.where(survey.subject == worker.NO_SEGMENT).toArrow()
        create_table(self.session, "predictions", predictions)
        groups, rates = prediction_groups(self.session)
        segment_columns = self._segment_columns(survey, {group.dt for group in groups})
        survey.unpersist()
        coding = self.session.execute("select * from prediction_groups").to_arrow_table()
        surplus = self._surplus(coding).persist()
        row_counts, sampled_counts, surplus_counts = self._row_counts(len(groups), surplus)
        coded = CodedRows(groups, {}, segment_columns, rates, row_counts, sampled_counts)
        days = [
            Day.of(partition, coded, self.versions, self.source.settings, self.source.blocked.get(partition.dt, ()))
            for partition in self.partitions
        ]
        tasks = _task_rows(self.spark, self.tasks, surplus).persist()
        tables = self._counted(tasks, coding, days)
        if paired_predictions.has_candidate(groups):
            tables |= self._paired(tasks, coding)
        else:
            tables |= paired_predictions.no_pairs()
        tables |= self._called(tasks, coding)
        tasks.unpersist()
        surplus.unpersist()
        tables["sampling_rates"] = sampling.rows(coded)
        return Profiles(tables, [refused for day in days for refused in day.refused], surplus_counts)

    def _segment_columns(self, survey: DataFrame, days: set[date]) -> Mapping[date, Sequence[SegmentColumn]]:
        """The segments of each day."""
        names = self.source.settings.telemetry.segments
        if not names:
            return {}
        values = defaultdict(list)
        for row in self._most_frequent(survey.where(survey.subject != worker.NO_SEGMENT)).to_pylist():
            values[row["subject"], row["dt"]].append(row["value"])
        return {day: [SegmentColumn(name, tuple(values[name, day])) for name in names] for day in days}

    def _most_frequent(self, counts: DataFrame) -> pa.Table:
        """The values of each subject and day that get a segment of their own, as sql/segment_values.sql has them."""
        from pyspark.sql import Window
        from pyspark.sql import functions as f

        of_day = Window.partitionBy("subject", "dt").orderBy(f.desc("row_count"), "value")
        placed = counts.withColumn("place", f.row_number().over(of_day))
        kept = placed.where(f.col("place") <= self.source.settings.telemetry.segment_limit)
        return kept.select("subject", "dt", "value").toArrow().sort_by("value")

    def _surplus(self, coding: pa.Table) -> DataFrame:
        """All but the earliest of predictions delivered twice."""
        from pyspark.sql import Window
        from pyspark.sql import functions as f

        keys = _mapped(_task_rows(self.spark, self.tasks), worker.keys(self.source, coding), worker.KEYS)
        of_key = Window.partitionBy("key_hash").orderBy(f.asc_nulls_last("event_time"), "file_id", "file_row_number")
        return (
            keys.withColumn("place", f.row_number().over(of_key))
            .where("place > 1")
            .drop("place", "event_time", "key_hash")
        )

    def _row_counts(self, group_count: int, surplus: DataFrame) -> tuple[Any, Any, Mapping[date, int]]:
        """Rows of each code in each file, with and without those outside the sample; and the surplus of each day."""
        files = [file for partition in self.partitions for file in partition.files]
        row_counts, sampled_counts = (np.zeros((len(files), group_count), np.int64) for _ in range(2))
        found = self.session.execute(
            "select p.file_id, g.code, p.row_count, p.sampled_count from predictions as p"
            " inner join prediction_groups as g using (dt, model_id, model_version, deployment)"
        )
        for file_id, code, row_count, sampled_count in found.fetchall():
            row_counts[file_id, code] += row_count
            sampled_counts[file_id, code] += sampled_count
        surplus_counts: Counter[date] = Counter()
        for row in surplus.groupBy("file_id", "code", "is_sampled").count().toArrow().to_pylist():
            place = row["file_id"], row["code"]
            row_counts[place] -= row["count"]
            sampled_counts[place] -= row["count"] * row["is_sampled"]
            surplus_counts[files[row["file_id"]].dt] += row["count"]
        paths = [file.path for file in files]
        return (
            dict(zip(paths, row_counts, strict=True)),
            dict(zip(paths, sampled_counts, strict=True)),
            surplus_counts,
        )

    def _counted(self, tasks: DataFrame, coding: pa.Table, days: Sequence[Day]) -> dict[str, pa.Table]:
        """Rows of the tables that the kernel fills."""
        counts = _mapped(tasks, worker.count(self.source, coding, days), worker.COUNTS)
        added = counts.groupBy("day", "version", "kind", "name").applyInArrow(
            worker.add(self.source, days), _spark_schema(worker.COUNTED)
        )
        # by day and version, and then as in VersionCounts
        found: dict[tuple[int, int], dict[str, dict[str, Any]]] = defaultdict(lambda: {"feature": {}, "profile": {}})
        distinct = []
        for row in added.toArrow().to_pylist():
            counted = pickle.loads(row["counts"])  # noqa: S301  # packed by our workers
            if worker.is_value_counts(row["kind"], row["name"]):
                distinct.append(counted)
            else:
                found[row["day"], row["version"]][row["kind"]][row["name"]] = counted
        rows = ProfileRows()
        for place, day in enumerate(days):
            of_versions = [found[place, version] for version in range(len(day.versions))]
            rows.add(day, [VersionCounts(one["feature"], one["profile"]) for one in of_versions])
        tables = rows.tables(self.session)
        nothing = profile_values(self.session, tables.pop("value_counts"))
        return tables | {
            name: pa.concat_tables([empty, *(values[name] for values in distinct)]) for name, empty in nothing.items()
        }

    def _paired(self, tasks: DataFrame, coding: pa.Table) -> dict[str, pa.Table]:
        """Rows of shadow_profile and shadow_differences."""
        rows = sum(partition.row_count for partition in self.partitions)
        buckets = 1 + rows // self.source.settings.spark.rows_per_task
        scores = _mapped(tasks, worker.scores(self.source, coding, buckets), worker.SCORES)
        pairs = scores.groupBy("bucket").applyInArrow(worker.pair(self.source), _spark_schema(worker.SHADOW))
        sums = [name for name in worker.SHADOW.names if name.endswith(("_count", "_sum"))]
        found = _added(pairs, *sums).persist()
        differences = found.where("difference is not null").drop("production_bin_id", *sums[1:])
        profile = found.where("difference is null").drop("difference")
        tables = {
            "shadow_profile": paired_predictions.profile_of(self.session, profile.toArrow()),
            "shadow_differences": differences.toArrow(),
        }
        found.unpersist()
        return tables

    def _called(self, tasks: DataFrame, coding: pa.Table) -> Mapping[str, pa.Table]:
        """Rows of the tables of service.TABLES."""
        columns = service.CallColumns.of(self.partitions, self.source.settings.telemetry)
        nodes = _NO_NODES
        if columns.has_nodes:
            counted = _mapped(tasks, worker.nodes(self.source, coding, columns), worker.NODES)
            nodes = self._most_frequent(_added(counted, "row_count")).drop_columns(["subject"])
        calls = worker.CALLS.empty_table()
        if columns.names:
            found = _mapped(tasks, worker.calls(self.source, coding, columns, nodes), worker.CALLS)
            sums = [name for name in found.columns if name.endswith(("_count", "_sum"))]
            calls = _added(found, *sums, largest=["gpu_utilization_max"]).toArrow()
        place = calls.schema.get_field_index("hour_at")
        calls = calls.set_column(place, "hour_at", calls["hour_at"].cast(pa.timestamp("us")))
        return service.tables_of(self.session, {name: calls.filter(pc.field("part") == name) for name in service.SUMS})


_NO_NODES = pa.schema([("dt", pa.date32()), ("value", pa.string())]).empty_table()


def _task_rows(spark: SparkSession, tasks: Sequence[worker.Task], surplus: DataFrame | None = None) -> DataFrame:
    """A row for each task: its number, what it is, and where the rows are that others repeat."""
    from pyspark.sql import functions as f

    rows = pa.table(
        {
            "shard": pa.array(range(len(tasks)), pa.int64()),
            "task": pa.array([pickle.dumps(task) for task in tasks], pa.binary()),
        }
    )
    found = spark.createDataFrame(rows)
    if surplus is not None:
        places = f.collect_list(f.struct("file_id", "file_row_number")).alias("surplus")
        found = found.join(surplus.groupBy("shard").agg(places), "shard", "left")
    cores = spark.sparkContext.defaultParallelism
    return found.repartition(max(min(len(tasks), cores * _TASKS_PER_CORE), 1))


def _mapped(rows: DataFrame, function: worker.Mapped, schema: pa.Schema) -> DataFrame:
    return rows.mapInArrow(function, _spark_schema(schema))


def _added(rows: DataFrame, *sums: str, largest: Sequence[str] = ()) -> DataFrame:
    """Rows with the same values in all other columns as one, whose sums are added."""
    from pyspark.sql import functions as f

    keys = [name for name in rows.columns if name not in {*sums, *largest}]
    added = [f.sum(name).alias(name) for name in sums]
    return rows.groupBy(*keys).agg(*added, *(f.max(name).alias(name) for name in largest))


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)
