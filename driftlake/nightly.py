"""The stages of a night: read the inputs, call the pure parts, replace the partitions of the result tables.

Every stage takes the days it is about and may be run again for any of them. What cannot be read is recorded and left
as it was; it never stops the other days. Not here: formulas, SQL, Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from driftlake import __version__, alerting, drift, profiling, quality, queries
from driftlake.config import Settings
from driftlake.contracts import ContractCheck
from driftlake.errors import ConfigurationError, WarehouseError
from driftlake.inputs import InputFile, Partition, chunks, days_between, probe, read_partitions
from driftlake.lineage import ModelVersion, load_versions
from driftlake.profiling import Profiles, RefusedFeature
from driftlake.telemetry import (
    LABEL_COLUMNS,
    TELEMETRY_COLUMNS,
    CanonicalColumn,
    offer_files,
    offer_versions,
    open_session,
    required_columns,
)
from driftlake.warehouse import PartitionRun, Replacement, RunContext, Warehouse

Result = TypeVar("Result")

# Checks the partitions that a session has made visible; given by the shell, because the suites are the user's.
ContractChecker = Callable[[duckdb.DuckDBPyConnection, Sequence[date]], list[ContractCheck]]

# A prediction's file may be written days after its label arrived; older labels without a prediction stay unmatched.
EARLY_LABEL_DAYS = 7

_PROFILE_TABLES = ("feature_profile", "feature_stats", "prediction_profile", "service_profile", "service_levels")


@dataclass(frozen=True, slots=True)
class StageReport:
    """What a stage did, for logs, metadata and the exit code."""

    stage: str
    runs: Sequence[PartitionRun]
    failed_checks: Sequence[Mapping[str, object]] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        return sum(run.row_count for run in self.runs)

    @property
    def refused(self) -> list[PartitionRun]:
        """Days whose input was refused, in whole or in part."""
        return [run for run in self.runs if run.outcome in {"refused", "partial"}]


def new_context(settings: Settings, run_id: str) -> RunContext:
    """Identify a run that starts now."""
    return RunContext(run_id, __version__, settings.config_hash, datetime.now(UTC))


def profile_days(
    warehouse: Warehouse,
    settings: Settings,
    context: RunContext,
    days: Sequence[date],
    check_contract: ContractChecker | None = None,
) -> StageReport:
    """Check and profile the telemetry of some days."""
    versions = load_versions(warehouse)
    if not versions:
        raise ConfigurationError(
            f"no model version is registered, and {settings.resolve(settings.lineage.path)} holds no lineage file",
            hint="write one YAML file per model version there, or register one with `driftlake lineage add FILE`",
        )
    required = required_columns(TELEMETRY_COLUMNS, settings.telemetry.columns)
    partitions = read_partitions(settings.resolve(settings.telemetry.path), days, required)
    runs: list[PartitionRun] = []
    failed: list[Mapping[str, object]] = []
    for chunk in chunks(partitions, settings.compute.rows_per_chunk):

        def profile(usable: Sequence[Partition]) -> _Profiled:
            return _profile(settings, usable, versions, check_contract)

        chunk, profiled = _without_corrupt_files(chunk, profile)
        checks = _check_rows(chunk, "telemetry", profiled.checks, profiled.profiles.refused_features)
        chunk_runs = [_profile_run(partition, profiled) for partition in chunk]
        replaced = [run.dt for run in chunk_runs if run.outcome not in {"refused", "missing"}]
        warehouse.replace_partitions(
            [
                *(Replacement(name, profiled.profiles.tables[name], replaced) for name in _PROFILE_TABLES),
                *_audit("telemetry", chunk, checks),
            ],
            chunk_runs,
            context=context,
        )
        runs += chunk_runs
        failed += [check for check in checks.to_pylist() if check["outcome"] == "failed"]
    return StageReport("profiles", runs, failed)


def count_labels(
    warehouse: Warehouse,
    settings: Settings,
    context: RunContext,
    days: Sequence[date],
    check_contract: ContractChecker | None = None,
) -> StageReport:
    """Check the labels that arrived on some days, join them to their predictions and count them."""
    if settings.labels is None:
        return StageReport("label_cohorts", [])
    versions = load_versions(warehouse)
    required = required_columns(LABEL_COLUMNS, settings.labels.columns)
    history = days_between(min(days) - timedelta(days=settings.labels.horizon_days + EARLY_LABEL_DAYS), max(days))
    labels = {p.dt: p for p in read_partitions(settings.resolve(settings.labels.path), history, required)}
    required = required_columns(TELEMETRY_COLUMNS, settings.telemetry.columns)
    telemetry = read_partitions(settings.resolve(settings.telemetry.path), history, required)
    runs: list[PartitionRun] = []
    failed: list[Mapping[str, object]] = []
    for chunk in chunks([labels[day] for day in sorted(days)], settings.compute.rows_per_chunk):
        counted = _count_chunk(warehouse, settings, chunk, labels, telemetry, versions, check_contract)
        warehouse.replace_partitions(counted.replacements, counted.runs, context=context)
        runs += counted.runs
        failed += counted.failed_checks
    return StageReport("label_cohorts", runs, failed)


def compare_days(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Compare the windows that end with some days with the training data."""
    first_day, last_day = min(days), max(days)
    history = timedelta(days=max(settings.drift.windows_days) - 1)
    counts = warehouse.query("coarse_counts", first_day=first_day - history, last_day=last_day)
    feature_drift, prediction_drift = drift.compare_with_training(
        counts, load_versions(warehouse), settings.drift, first_day=first_day, last_day=last_day
    )
    tables = {"feature_drift": feature_drift, "prediction_drift": prediction_drift}
    return _replace(warehouse, context, "drift", days, tables)


def measure_quality(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Measure ranking quality and the label backlog as of the end of some days."""
    span = {"first_day": min(days), "last_day": max(days)}
    windows_days = list(settings.quality.windows_days)
    horizon_days = settings.labels.horizon_days if settings.labels else 0
    windows = warehouse.query("window_predictions", **span, windows_days=windows_days)
    counts = warehouse.query("quality_counts", **span, windows_days=windows_days)
    tables = {
        "model_quality": quality.measure(windows, counts, load_versions(warehouse), settings.quality),
        "label_backlog": warehouse.query("label_backlog", **span, horizon_days=horizon_days),
    }
    return _replace(warehouse, context, "model_quality", days, tables)


def raise_alerts(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Raise the alerts of some days."""
    alerts = alerting.raise_alerts(warehouse, settings.alerts, first_day=min(days), last_day=max(days))
    return _replace(warehouse, context, "alerts", days, {"alerts": alerts})


def newest_day(warehouse: Warehouse) -> date:
    """The last day that was processed to the end. Raises WarehouseError if there is none."""
    day = warehouse.sql("select max(dt) as dt from partition_runs where stage = 'alerts'")["dt"][0].as_py()
    if day is None:
        raise WarehouseError(
            "no day has been processed yet", hint="run `driftlake run --date D` or `driftlake backfill` first"
        )
    return day


def refused_days(warehouse: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """Days whose input a run refused, in whole or in part: dt, stage, outcome, reason."""
    return warehouse.sql(
        "select dt, stage, outcome, reason from partition_runs"
        " where run_id = ? and outcome in ('refused', 'partial') order by dt, stage",
        [run_id],
    ).to_pylist()


def _replace(
    warehouse: Warehouse, context: RunContext, stage: str, days: Sequence[date], tables: Mapping[str, pa.Table]
) -> StageReport:
    """Replace the days of tables that are derived from other tables."""
    written: dict[date, int] = dict.fromkeys(days, 0)
    for table in tables.values():
        for counted in table["dt"].value_counts().to_pylist():
            written[counted["values"]] += counted["counts"]
    runs = [PartitionRun(day, stage, "complete", rows) for day, rows in written.items()]
    warehouse.replace_partitions(
        [Replacement(name, rows, days) for name, rows in tables.items()], runs, context=context
    )
    return StageReport(stage, runs)


@dataclass(frozen=True, slots=True)
class _Profiled:
    profiles: Profiles
    checks: Sequence[ContractCheck]

    @property
    def blocked(self) -> dict[date, str]:
        """Days that broke their contract, and how."""
        return _blocked(self.checks)


def _blocked(checks: Sequence[ContractCheck]) -> dict[date, str]:
    errors = [check for check in checks if check.outcome == "failed" and check.severity == "error"]
    return {day: "; ".join(c.message for c in errors if c.dt == day) for day in dict.fromkeys(c.dt for c in errors)}


def _without_corrupt_files(
    partitions: Sequence[Partition], use: Callable[[Sequence[Partition]], Result]
) -> tuple[list[Partition], Result]:
    """`use` the partitions that can be read; if that fails, find the files whose pages are broken and go on without."""
    usable = [partition for partition in partitions if partition.is_usable]
    try:
        return list(partitions), use(usable)
    except (duckdb.Error, pa.ArrowException, OSError):
        probed = [probe(partition) for partition in partitions]
        still_usable = [partition for partition in probed if partition.is_usable]
        if len(still_usable) == len(usable):
            raise
        return probed, use(still_usable)


def _profile(
    settings: Settings,
    partitions: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    check_contract: ContractChecker | None,
) -> _Profiled:
    connection = open_session(settings)
    try:
        offer_versions(connection, list(versions.values()))
        checks: list[ContractCheck] = []
        filled = [partition for partition in partitions if partition.row_count]
        if check_contract and filled:
            _offer(connection, "predictions", filled, TELEMETRY_COLUMNS, settings.telemetry.columns)
            queries.run(connection, "telemetry")
            checks = check_contract(connection, [partition.dt for partition in filled])
        blocked = _blocked(checks)
        kept = [partition for partition in filled if partition.dt not in blocked]
        _offer(connection, "predictions", kept, TELEMETRY_COLUMNS, settings.telemetry.columns)
        queries.run(connection, "scored_predictions")
        return _Profiled(profiling.profile_partitions(connection, settings, kept, versions), checks)
    finally:
        connection.close()


def _offer(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    partitions: Sequence[Partition],
    columns: Sequence[CanonicalColumn],
    mapping: Mapping[str, str],
) -> None:
    files = [file for partition in partitions for file in partition.files]
    offer_files(connection, relation, files, columns, mapping)


def _profile_run(partition: Partition, profiled: _Profiled) -> PartitionRun:
    refused = [item for item in profiled.profiles.refused_features if item.key.dt == partition.dt]
    if not partition.files:
        outcome, reason = "missing", "no telemetry file for the day"
    elif partition.refusals:
        outcome, reason = "refused", "; ".join(file.refusal or "" for file in partition.refusals)
    elif partition.dt in profiled.blocked:
        outcome, reason = "refused", profiled.blocked[partition.dt]
    elif refused:
        outcome, reason = "partial", "; ".join(dict.fromkeys(item.message for item in refused))
    elif not partition.row_count:
        outcome, reason = "empty", "the telemetry files of the day have no rows"
    else:
        outcome, reason = "complete", None
    return PartitionRun(partition.dt, "profiles", outcome, partition.row_count, reason, partition.fingerprint)


@dataclass(frozen=True, slots=True)
class _Counted:
    replacements: Sequence[Replacement]
    runs: Sequence[PartitionRun]
    failed_checks: Sequence[Mapping[str, object]]


def _count_chunk(
    warehouse: Warehouse,
    settings: Settings,
    chunk: Sequence[Partition],
    labels: Mapping[date, Partition],
    telemetry: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    check_contract: ContractChecker | None,
) -> _Counted:
    """Count the labels of `chunk`; `labels` and `telemetry` also hold the days before, which the join looks back to."""
    assert settings.labels is not None
    first_day, last_day = chunk[0].dt, chunk[-1].dt
    memory_days = settings.labels.horizon_days + EARLY_LABEL_DAYS
    earlier = [p for p in labels.values() if timedelta(0) < first_day - p.dt <= timedelta(days=memory_days)]
    in_reach = [p for p in telemetry if first_day - timedelta(days=settings.labels.horizon_days) <= p.dt <= last_day]

    def count(usable: Sequence[Partition]) -> tuple[dict[str, pa.Table], list[ContractCheck]]:
        return _count(settings, usable, in_reach, (first_day, last_day), versions, check_contract)

    probed, (tables, checks) = _without_corrupt_files([*earlier, *chunk], count)
    chunk = [partition for partition in probed if partition.dt >= first_day]
    runs = [_label_run(warehouse, partition, checks) for partition in chunk]
    replaced = [run.dt for run in runs if run.outcome != "refused"]
    unreadable = [partition.dt for partition in in_reach if not partition.is_usable]
    if unreadable and replaced:
        tables["label_cohorts"] = pa.concat_tables(
            [tables["label_cohorts"], _stored_cohorts(warehouse, replaced, unreadable)]
        )
    check_rows = _check_rows(chunk, "labels", checks, [])
    return _Counted(
        [
            *(Replacement(name, _of_days(rows, replaced), replaced) for name, rows in tables.items()),
            *_audit("labels", chunk, check_rows),
        ],
        runs,
        [check for check in check_rows.to_pylist() if check["outcome"] == "failed"],
    )


def _count(
    settings: Settings,
    labels: Sequence[Partition],
    telemetry: Sequence[Partition],
    span: tuple[date, date],
    versions: Mapping[tuple[str, str], ModelVersion],
    check_contract: ContractChecker | None,
) -> tuple[dict[str, pa.Table], list[ContractCheck]]:
    assert settings.labels is not None
    connection = open_session(settings)
    first_day, last_day = span
    horizon_days = settings.labels.horizon_days
    try:
        _offer(connection, "labels", labels, LABEL_COLUMNS, settings.labels.columns)
        current = [p.dt for p in labels if p.dt >= first_day and p.row_count]
        checks = check_contract(connection, current) if check_contract and current else []
        if blocked := _blocked(checks):
            kept = [partition for partition in labels if partition.dt not in blocked]
            _offer(connection, "labels", kept, LABEL_COLUMNS, settings.labels.columns)
        readable = [partition for partition in telemetry if partition.is_usable]
        offer_versions(connection, list(versions.values()))
        _offer(connection, "predictions", readable, TELEMETRY_COLUMNS, settings.telemetry.columns)
        queries.run(connection, "scored_predictions")
        queries.run(connection, "label_rows", memory_days=horizon_days + EARLY_LABEL_DAYS)
        queries.run(connection, "label_pairs", horizon_days=horizon_days, early_days=EARLY_LABEL_DAYS)
        tables = {
            name: queries.run(connection, name, first_day=first_day, last_day=last_day).to_arrow_table()
            for name in ("label_cohorts", "label_arrivals")
        }
        return tables, checks
    finally:
        connection.close()


def _label_run(warehouse: Warehouse, partition: Partition, checks: Sequence[ContractCheck]) -> PartitionRun:
    blocked = _blocked(checks)
    if partition.refusals:
        outcome, reason = "refused", "; ".join(file.refusal or "" for file in partition.refusals)
    elif partition.dt in blocked:
        outcome, reason = "refused", blocked[partition.dt]
    elif not partition.files and _has_stored_labels(warehouse, partition.dt):
        outcome, reason = "refused", "the label files of the day are gone; what they said is kept"
    elif not partition.row_count:
        outcome, reason = "empty", "no labels arrived on the day"
    else:
        outcome, reason = "complete", None
    return PartitionRun(partition.dt, "label_cohorts", outcome, partition.row_count, reason, partition.fingerprint)


def _has_stored_labels(warehouse: Warehouse, day: date) -> bool:
    return warehouse.sql("select 1 from label_arrivals where dt = ? and label_count > 0", [day]).num_rows > 0


def _stored_cohorts(warehouse: Warehouse, days: Sequence[date], prediction_days: Sequence[date]) -> pa.Table:
    """Cohorts counted earlier whose telemetry cannot be read any more: they are kept rather than lost."""
    return warehouse.sql(
        "select * from label_cohorts where list_contains(?, dt) and list_contains(?, prediction_on)",
        [list(days), list(prediction_days)],
    )


def _of_days(rows: pa.Table, days: Sequence[date]) -> pa.Table:
    wanted = set(days)
    return rows.filter(pa.array([day in wanted for day in rows["dt"].to_pylist()], pa.bool_()))


def _audit(source: str, partitions: Sequence[Partition], checks: pa.Table) -> list[Replacement]:
    days = [partition.dt for partition in partitions]
    files = [_file_row(source, file) for partition in partitions for file in partition.files]
    return [
        Replacement("contract_checks", checks, days, {"source": source}),
        Replacement("input_files", pa.Table.from_pylist(files), days, {"source": source}),
    ]


def _file_row(source: str, file: InputFile) -> dict[str, object]:
    return {
        "dt": file.dt,
        "source": source,
        "path": file.path,
        "size_bytes": file.size_bytes,
        "row_count": None if file.refusal and not file.columns else file.row_count,
        "schema_fingerprint": file.schema_fingerprint,
        "content_fingerprint": file.content_fingerprint,
        "outcome": "refused" if file.refusal else "read",
        "reason": file.refusal,
    }


def _check_rows(
    partitions: Sequence[Partition],
    source: str,
    checks: Sequence[ContractCheck],
    refused_features: Sequence[RefusedFeature],
) -> pa.Table:
    """Rows of contract_checks: what the suite found, and every file and feature that was refused before it."""
    rows = [
        {
            "dt": check.dt,
            "source": source,
            "expectation": check.expectation,
            "column_name": check.column_name,
            "severity": check.severity,
            "outcome": check.outcome,
            "checked_count": check.checked_count,
            "unexpected_count": check.unexpected_count,
            "observed": check.observed or None,
            "message": check.message or None,
        }
        for check in checks
    ]
    rows += [_refused_file_row(source, file) for partition in partitions for file in partition.refusals]
    rows += [
        {
            "dt": refused.key.dt,
            "source": source,
            "expectation": "feature_is_readable",
            "column_name": refused.feature,
            "model_id": refused.key.model_id,
            "model_version": refused.key.model_version,
            "path": refused.path,
            "severity": "error",
            "outcome": "failed",
            "checked_count": refused.row_count,
            "unexpected_count": refused.row_count,
            "message": refused.message,
        }
        for refused in refused_features
    ]
    if source == "telemetry":
        rows += [_missing_day_row(partition.dt) for partition in partitions if not partition.files]
    return pa.Table.from_pylist(rows, schema=_CHECK_SCHEMA)


def _refused_file_row(source: str, file: InputFile) -> dict[str, object]:
    return {
        "dt": file.dt,
        "source": source,
        "expectation": "file_is_readable",
        "path": file.path,
        "severity": "error",
        "outcome": "failed",
        "checked_count": file.row_count,
        "unexpected_count": file.row_count,
        "message": file.refusal,
    }


def _missing_day_row(day: date) -> dict[str, object]:
    return {
        "dt": day,
        "source": "telemetry",
        "expectation": "partition_is_present",
        "severity": "warning",
        "outcome": "failed",
        "checked_count": 0,
        "unexpected_count": 0,
        "message": f"there is no telemetry for {day}",
    }


_CHECK_SCHEMA = pa.schema(
    [
        ("dt", pa.date32()),
        *((name, pa.string()) for name in ("source", "expectation", "column_name", "model_id", "model_version")),
        ("path", pa.string()),
        ("severity", pa.string()),
        ("outcome", pa.string()),
        ("checked_count", pa.int64()),
        ("unexpected_count", pa.int64()),
        ("observed", pa.string()),
        ("message", pa.string()),
    ]
)
