"""Finds what a row of a result table was computed from: runs, input files, training data.

It reads records and computes nothing again: `driftlake.nightly.stages` declares what a stage reads, input_files has
the files, and partition_runs has the runs. Not here: how it is printed (`driftlake.provenance.text`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from driftlake.config import OtherVersion, Settings
from driftlake.drift.windows import reference_name
from driftlake.errors import WarehouseError
from driftlake.lake import runs, schema
from driftlake.lake.catalog import catalog_of
from driftlake.lake.queries import literal, quote
from driftlake.lake.warehouse import CATALOG, Warehouse
from driftlake.nightly.stages import LABEL_COHORTS, PROFILES, STAGES, Stage

Row = dict[str, Any]
# The snapshot up to which the records of a day count, by day.
Bounds = dict[date, int]

# The stage that reads, records and checks the files of a source.
_READER = {"telemetry": PROFILES, "explanations": PROFILES, "offline_values": PROFILES, "labels": LABEL_COHORTS}
# Tables that are written whatever the outcome of a day.
_BY_SOURCE = ("contract_checks", "input_files", "quarantine")
_ALWAYS_WRITTEN = (*_BY_SOURCE, "schema_changes")
# The provenance records themselves, whose rows need no explanation.
_RECORDS = {"alert_actions", "partition_runs", "current_runs", "schema_versions", "newest_day", "newest_alert_day"}

_SHOWN_ROWS = 5
_NEWEST = 2**62


@dataclass(frozen=True, slots=True)
class Provenance:
    """The provenance of a row, or of all rows of a relation on a day."""

    relation: str
    dt: date | None
    row_count: int
    # the row, if one was asked for
    row: Row | None
    # runs of the stages that wrote the rows; rows of sql/explain/runs.sql
    runs: Sequence[Row]
    # runs of the stages before them
    earlier_runs: Sequence[Row]
    # rows of sql/explain/files.sql
    files: Sequence[Row]
    # rows of training_runs
    training: Sequence[Row]
    # query that shows the rows as they were written
    query: str


@dataclass(frozen=True, slots=True)
class _Found:
    """The selected rows of a relation; only the first if there are many."""

    relation: str
    condition: str
    dt: date | None
    row_count: int
    first: Sequence[Row]
    is_single: bool

    @property
    def row(self) -> Row:
        return self.first[0] if self.is_single else {}


def explain(
    warehouse: Warehouse, settings: Settings, relation: str, *, day: date | None = None, condition: str | None = None
) -> Provenance:
    """The provenance of the row of a table or view that meets an SQL condition, or of its rows of a day.

    Without a day, the newest day of the relation is used. Raises WarehouseError if the relation is unknown, or if not exactly one
    row meets the condition.
    """
    found = _find(warehouse, relation, day, condition)
    written_by = _writers(warehouse, found)
    with_refused = relation in _ALWAYS_WRITTEN
    written = [
        run
        for stage in written_by
        for run in _runs(warehouse, stage, {_day_of(warehouse, found): _NEWEST}, with_refused=with_refused)
    ]
    if written_by and not written:
        raise WarehouseError(f"no run is recorded for {relation} on {found.dt}", hint="run the day again")
    earlier, files = _trace(warehouse, settings, written, found)
    return Provenance(
        relation,
        found.dt,
        found.row_count,
        found.row or None,
        written,
        earlier,
        files,
        _training(warehouse, settings, found),
        _query(warehouse, settings, found, max((run["snapshot_id"] for run in written), default=None)),
    )


def explainable() -> list[str]:
    """Names of the tables and views whose rows can be explained."""
    names = {table.name for table in schema.tables()} | {view.name for view in schema.views()}
    return sorted(names - _RECORDS)


def _find(warehouse: Warehouse, relation: str, day: date | None, condition: str | None) -> _Found:
    if relation not in explainable():
        raise WarehouseError(
            f"there is no table or view {relation} to explain", hint=f"one of {', '.join(explainable())}"
        )
    has_days = "dt" in warehouse.sql(f"from {quote(relation)} limit 0").column_names
    if day and not has_days:
        raise WarehouseError(f"{relation} has no days", hint="leave --date out, and choose a row with --where")
    if has_days and not day and not condition:
        day = warehouse.sql(f"select max(dt) as dt from {quote(relation)}")["dt"][0].as_py()
    conditions = [f"dt = date '{day}'"] if day else []
    # the line break ends a comment
    conditions += [f"({condition}\n)" if "--" in condition else f"({condition})"] if condition else []
    where = " and ".join(conditions) or "true"
    selected = f"from {quote(relation)} where {where}"
    try:
        count = warehouse.sql(f"select count(*) as n {selected}")["n"][0].as_py()
        first = warehouse.sql(f"select * {selected} order by all limit {_SHOWN_ROWS}").to_pylist()
    except duckdb.Error as error:
        raise WarehouseError(
            f"the condition cannot be used: {error}", hint=f"docs/tables.md has the columns of {relation}"
        ) from error
    if not first:
        raise WarehouseError(
            f"{relation} has no row{f' on {day}' if day else ''}{' that meets the condition' if condition else ''}",
            hint=f'`driftlake sql "from {relation} limit 5"` shows some',
        )
    if condition and count > 1:
        raise WarehouseError(
            f"{count:,} rows of {relation} meet the condition; the first are:\n{_distinguished(first)}",
            hint="narrow --where",
        )
    return _Found(relation, where, first[0].get("dt", day), count, first, bool(condition) or count == 1)


def _distinguished(rows: Sequence[Row]) -> str:
    """Rows as text: the columns in which they differ, without measured values, which nobody selects a row by."""
    names = [name for name in rows[0] if len({str(row[name]) for row in rows}) > 1]
    measured = {name for row in rows for name, value in row.items() if isinstance(value, float)}
    keys = [name for name in names if name not in measured and not name.endswith("_count")]
    return "\n".join(", ".join(f"{name}={row[name]}" for name in keys) for row in rows)


def _day_of(warehouse: Warehouse, found: _Found) -> date:
    return found.dt or runs.newest_day(warehouse)


def _writers(warehouse: Warehouse, found: _Found) -> list[Stage]:
    """Stages that wrote the tables below a relation; none for tables that are written at registration."""
    if found.relation in (*_BY_SOURCE, "current_input_files"):
        selected = f"select distinct source from {quote(found.relation)} where {found.condition}"
        readers = [_READER[source] for source in warehouse.sql(selected)["source"].to_pylist()]
        return [stage for stage in STAGES if stage in readers]
    below = _tables_below(found.relation)
    writers = [stage for stage in STAGES if below & {*stage.tables}]
    return [PROFILES] if "schema_changes" in below and not writers else writers


def _tables_below(relation: str) -> set[str]:
    views = {view.name: view for view in schema.views()}
    if relation not in views:
        return {relation}
    return {table for name in views[relation].reads for table in _tables_below(name)}


def _trace(
    warehouse: Warehouse, settings: Settings, written: Sequence[Row], found: _Found
) -> tuple[list[Row], list[Row]]:
    """Runs of the stages before those that wrote the rows, and the input files that all of them have read."""
    wanted: defaultdict[str, Bounds] = defaultdict(dict)
    traced: list[Row] = []
    for stage in reversed(STAGES):
        own = [run for run in written if run["stage"] == stage.name]
        earlier = _runs(warehouse, stage, wanted[stage.name])
        traced += earlier
        own_reads = _own_reads(stage, settings, found.row)
        for run, reads in (*((run, own_reads) for run in own), *((run, stage.reads(settings)) for run in earlier)):
            for source, reach_days in reads.items():
                reach = _reach_of(found.row, reach_days) if run in own else reach_days
                _want(wanted[source], run, reach, settings.start)
    if found.relation == "schema_changes":
        _want_earlier_day(warehouse, wanted["telemetry"], written)
    sources = [row for source in _READER for row in _wanted_rows("source", source, wanted[source])]
    return sorted(traced, key=lambda run: (run["stage"], run["dt"])), _files(warehouse, sources)


def _own_reads(stage: Stage, settings: Settings, row: Mapping[str, Any]) -> Mapping[str, int]:
    """The stages that were read for a row; for an alert only the stage of its signal, if a single stage writes it."""
    reads = stage.reads(_narrowed(settings, row))
    table = row.get("signal", "").partition(".")[0]
    measured_by = {each.name for each in STAGES if table in each.tables}
    return {source: days for source, days in reads.items() if source in measured_by} if measured_by else reads


def _narrowed(settings: Settings, row: Mapping[str, Any]) -> Settings:
    """The settings with only the window and the reference of a row, because a short window needs fewer days."""
    if row.get("window_days") is None:
        return settings
    windows = (row["window_days"],)
    kept = tuple(each for each in settings.drift.references if reference_name(each) == row.get("reference"))
    drift = {"windows_days": windows, "references": kept or settings.drift.references}
    return settings.model_copy(
        update={
            "drift": settings.drift.model_copy(update=drift),
            "quality": settings.quality.model_copy(update={"windows_days": windows}),
        }
    )


def _reach_of(row: Mapping[str, Any], reach_days: int) -> int:
    """Days that a row looks back: for an alert those since it fired and the day before, for the cause of an incident also the usual days before."""
    if "cause" in row:
        return reach_days
    return min(reach_days, (row["dt"] - row["since_on"]).days + 1) if row.get("since_on") else reach_days


def _want(bounds: Bounds, run: Row, reach_days: int, start: date) -> None:
    first = max(run["dt"].toordinal() - reach_days, start.toordinal())
    for ordinal in range(first, run["dt"].toordinal() + 1):
        day = date.fromordinal(ordinal)
        bounds[day] = max(bounds.get(day, 0), run["snapshot_id"])


def _want_earlier_day(warehouse: Warehouse, bounds: Bounds, written: Sequence[Row]) -> None:
    """Add the last earlier day that could be read, because its columns are compared with those of the day."""
    for run in written:
        found = warehouse.sql(
            "select max(dt) as dt from input_files where source = 'telemetry' and outcome = 'read' and dt < ?"
            " and coalesce(snapshot_id, 0) <= ?",
            [run["dt"], run["snapshot_id"]],
        )["dt"][0].as_py()
        if found:
            bounds[found] = run["snapshot_id"]


def _runs(warehouse: Warehouse, stage: Stage, bounds: Bounds, *, with_refused: bool = False) -> list[Row]:
    with warehouse.registered(wanted=_wanted_table("stage", _wanted_rows("stage", stage.name, bounds))):
        found: list[Row] = warehouse.query("explain/runs", with_refused=with_refused).to_pylist()
    return found


def _files(warehouse: Warehouse, wanted: Sequence[Row]) -> list[Row]:
    with warehouse.registered(wanted=_wanted_table("source", wanted)):
        found: list[Row] = warehouse.query("explain/files").to_pylist()
    return found


def _wanted_rows(key: str, name: str, bounds: Bounds) -> list[Row]:
    return [{key: name, "dt": day, "snapshot_id": snapshot_id} for day, snapshot_id in sorted(bounds.items())]


def _wanted_table(key: str, rows: Iterable[Row]) -> pa.Table:
    schema_of = pa.schema([(key, pa.string()), ("dt", pa.date32()), ("snapshot_id", pa.int64())])
    return pa.Table.from_pylist(list(rows), schema=schema_of)


def _training(warehouse: Warehouse, settings: Settings, found: _Found) -> list[Row]:
    """The registered versions that the rows are about or compare with; all versions if the rows name none."""
    owners = _owners(warehouse, settings, found)
    registered = warehouse.sql("from training_runs order by model_id, model_version").to_pylist()
    return [run for run in registered if not owners or (run["model_id"], run["model_version"]) in owners]


def _owners(warehouse: Warehouse, settings: Settings, found: _Found) -> set[tuple[str, str]]:
    columns = warehouse.sql(f"from {quote(found.relation)} limit 0").column_names
    others = {each.name: each.model_version for each in settings.drift.references if isinstance(each, OtherVersion)}
    owners: set[tuple[str, str]] = set()
    if "model_id" not in columns:
        return owners
    asked = [name for name in ("model_id", "model_version", "production_version", "reference") if name in columns]
    selected = f"select distinct {', '.join(asked)} from {quote(found.relation)} where {found.condition}"
    for row in warehouse.sql(selected).to_pylist():
        versions = (row.get("model_version"), row.get("production_version"), others.get(row.get("reference", "")))
        owners |= {(row["model_id"], version) for version in versions if row["model_id"] and version}
    return owners


def _query(warehouse: Warehouse, settings: Settings, found: _Found, snapshot_id: int | None) -> str:
    """SQL that shows the rows as they were written. A view has no versions, so the whole catalog is attached at the snapshot."""
    now = f"from {found.relation} where {found.condition}"
    if snapshot_id is None:
        return now
    if not warehouse.sql("select 1 from ducklake_snapshots(?) where snapshot_id = ?", [CATALOG, snapshot_id]).num_rows:
        return f"-- snapshot {snapshot_id} has expired (warehouse.snapshot_retention_days); the rows as they are now:\n{now}"
    if found.relation in {table.name for table in schema.tables()}:
        return f"from {found.relation} at (version => {snapshot_id}) where {found.condition}"
    place = literal(catalog_of(settings).address)
    return (
        f"attach {place} as {CATALOG} (read_only, snapshot_version {snapshot_id});"
        f" use {CATALOG}; from {found.relation} where {found.condition}"
    )
