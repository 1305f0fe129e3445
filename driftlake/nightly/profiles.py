"""The stage that checks and profiles the telemetry of days.

Not here: counting (driftlake.profiles) and contracts (driftlake.contract.row_checks).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

import duckdb
import pyarrow as pa

from driftlake.config import EXPLANATIONS, OFFLINE_VALUES, TELEMETRY, ContractSettings, Settings
from driftlake.contract import quarantine
from driftlake.contract.custom_suites import check_suites
from driftlake.contract.day_checks import (
    UsualRows,
    check_completeness,
    check_evenings,
    check_presence,
    check_row_count,
    day_bounds,
)
from driftlake.contract.quarantine import (
    CreateView,
    Quarantined,
    create_view_of_valid_rows,
    days_with_broken_rows,
    judge_files,
)
from driftlake.contract.records import audit_replacements, failed_checks, stored_failures
from driftlake.contract.row_checks import Contract, ContractCheck, Contracts, Measurement, blocked_days
from driftlake.engines import engine_of
from driftlake.errors import ConfigurationError
from driftlake.inputs import schema_changes
from driftlake.inputs.partitions import Partition, chunks, without_corrupt_files
from driftlake.inputs.predictions import (
    LeftOut,
    Reading,
    create_version_tables,
    create_view_of_partitions,
    percent_versions,
)
from driftlake.inputs.schema_changes import DayChanges, FileVersions
from driftlake.inputs.sources import columns_of, read_source
from driftlake.lake.schema import arrow_schema
from driftlake.lake.session import create_table, open_session
from driftlake.lake.warehouse import Addition, PartitionRun, Replacement, RunContext, Warehouse
from driftlake.lineage.lineage_files import lineage_locations
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.nightly.isolation import Computed, Isolation, Part, keys_of, version_parts
from driftlake.nightly.outcomes import counted_rows, has_stored_rows, left_out_sentences, refusals_of, unread_columns_of
from driftlake.nightly.readings import changes_since_earlier_days, usual_rows_before
from driftlake.nightly.stage_report import StageReport, report
from driftlake.nightly.stages import PROFILES, Input, Work, find_work
from driftlake.privacy.personal_columns import Findings, found_in_profiles
from driftlake.profiles.feature_skew import compare_offline, counted_segments
from driftlake.profiles.rows import Profiles
from driftlake.profiles.shap_files import summed_explanations
from driftlake.vocabulary import wording


def profile_days(
    warehouse: Warehouse,
    settings: Settings,
    context: RunContext,
    days: Sequence[date],
    contracts: Contracts | None = None,
) -> StageReport:
    """Check and profile the telemetry of some days."""
    engine_of(settings)  # without it, nothing is read
    delivered = _Delivered.read(settings, days)
    with warehouse.one_snapshot():
        work = find_work(warehouse, settings, context, PROFILES, days, **delivered.inputs())
        versions = load_versions(warehouse)
        if not versions:
            raise _nothing_registered(settings)
        judge = judge_files(
            settings.contracts.largest_quarantined_share, quarantine.files_read(warehouse, "telemetry", work.days)
        )
    contract = contracts.telemetry if contracts else None

    usual_of = {usual.dt: usual for usual in delivered.usual}

    def compute(chunk_days: Sequence[date], left_out: Collection[Part]) -> Computed:
        without = keys_of(left_out, "model version")
        counted = {key: version for key, version in versions.items() if key not in without}

        def profile(usable: Sequence[Partition]) -> _Profiled:
            return _profile(settings, usable, versions, counted, contract, delivered.usual)

        planned = [partition for partition in delivered.partitions if partition.dt in chunk_days]
        chunk, profiled = without_corrupt_files(planned, profile, judge)
        explained = _explained(settings, [p for p in delivered.explanations if p.dt in chunk_days], counted)
        skewed = _skewed(settings, chunk, [p for p in delivered.offline if p.dt in chunk_days], counted, profiled)
        presence = [
            check
            for partition in chunk
            for check in check_presence(partition, usual_of.get(partition.dt), settings.contracts)
        ]
        closed = {check.dt: check.observed for check in presence if check.outcome == "passed"}
        refusals = [explained.refusals, skewed.refusals]
        chunk_runs = [_profile_run(warehouse, partition, profiled, refusals, closed, work) for partition in chunk]
        replaced = [run.dt for run in chunk_runs if run.outcome not in {"refused", "missing"}]
        rows = {**profiled.profiles.tables, **explained.tables, **skewed.tables}
        replacements = [
            *(Replacement.of_days(name, rows[name], replaced) for name in PROFILES.tables),
            *_audited(chunk, profiled, presence),
            *explained.audited,
            *skewed.audited,
            _schema_changes(settings, chunk, delivered.since, profiled, counted),
            quarantine.replacement("telemetry", [*quarantine.refused_files(chunk), *profiled.quarantined], chunk_days),
        ]
        return Computed(replacements, chunk_runs)

    isolation = Isolation(warehouse, context, PROFILES, compute, lambda: version_parts(versions))
    changed = set(work.days)
    for planned in chunks([p for p in delivered.partitions if p.dt in changed], settings.compute.rows_per_chunk):
        isolation.work_on([partition.dt for partition in planned])
    return report(
        work,
        isolation.outcome,
        failed_checks=stored_failures(warehouse, "telemetry", days),
    )


def _nothing_registered(settings: Settings) -> ConfigurationError:
    folder, count = settings.resolve(settings.lineage.path), len(lineage_locations(settings))
    if count:
        return ConfigurationError(
            f"no model version is registered, although {folder} has {wording.counted(count, 'lineage file')}",
            hint="run `driftlake lineage add FILE` to register one, or to see what is wrong with it",
        )
    return ConfigurationError(
        f"no model version is registered, and {folder} has no lineage files",
        hint="write one YAML file per model version there, or register one with `driftlake lineage add FILE`",
    )


@dataclass(frozen=True, slots=True)
class _Delivered:
    """The input of some days: their telemetry, facts about earlier days, and files of SHAP sums."""

    partitions: Sequence[Partition]
    since: Sequence[DayChanges]
    usual: Sequence[UsualRows]
    explanations: Sequence[Partition]
    offline: Sequence[Partition]

    @classmethod
    def read(cls, settings: Settings, days: Sequence[date]) -> Self:
        partitions = read_source(settings, TELEMETRY, days)
        return cls(
            partitions,
            changes_since_earlier_days(settings, partitions),
            usual_rows_before(settings, partitions),
            read_source(settings, EXPLANATIONS, days),
            read_source(settings, OFFLINE_VALUES, days),
        )

    def inputs(self) -> dict[str, Sequence[Input]]:
        return {
            "telemetry": self.partitions,
            "usual_rows": self.usual,
            "schema_changes": self.since,
            "explanations": self.explanations,
            "offline_values": self.offline,
        }


def _audited(
    partitions: Sequence[Partition], profiled: _Profiled, presence: Sequence[ContractCheck]
) -> list[Replacement | Addition]:
    checks = [*profiled.checks, *presence]
    failed = failed_checks("telemetry", partitions, checks, profiled.profiles.refused_features, profiled.personal_data)
    return audit_replacements("telemetry", partitions, checks, failed)


@dataclass(frozen=True, slots=True)
class _Read:
    """Files that are read beside telemetry: tables from them, the record of the files, and refusals by day."""

    tables: Mapping[str, pa.Table]
    audited: Sequence[Replacement | Addition]
    refusals: Mapping[date, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Profiled:
    profiles: Profiles
    checks: Sequence[ContractCheck]
    file_versions: FileVersions
    quarantined: Sequence[Quarantined]
    # days that are not counted, and why
    blocked: Mapping[date, str]
    personal_data: Findings


def _profile(
    settings: Settings,
    partitions: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    counted: Mapping[tuple[str, str], ModelVersion],
    contract: Contract | None,
    usual: Sequence[UsualRows],
) -> _Profiled:
    """Check days against the contract for all `versions`, and profile the versions in `counted`."""
    delivered = [partition for partition in partitions if partition.row_count]
    with open_session(settings, row_count=sum(partition.row_count for partition in delivered)) as connection:
        create_version_tables(connection, list(versions.values()), settings.models)
        found = found_in_profiles(delivered, settings.telemetry, counted.values())
        create_view = _view_without(connection, settings, found, versions)
        create_view("predictions", delivered, None)
        features_column = settings.telemetry.features_column
        file_versions = schema_changes.file_versions(connection, delivered, counted, features_column)
        judged = _Judged(delivered, [], [], {})
        if contract and delivered:
            judged = _judge(connection, settings, contract, delivered, create_view)
        if len(counted) < len(versions):
            create_version_tables(connection, list(counted.values()), settings.models)
        left_out = LeftOut(found, quarantine.rows_table("predictions") if judged.quarantined else None)
        profiles = engine_of(settings).profile_partitions(connection, settings, judged.usable, counted, left_out)
        checks = [*judged.checks]
        if contract and judged.usable:
            checks += _checks_of_days(connection, contract, judged.usable, counted, profiles, usual, settings.contracts)
        return _Profiled(profiles, checks, file_versions, judged.quarantined, judged.blocked, found)


def _view_without(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    personal_data: Findings,
    versions: Mapping[tuple[str, str], ModelVersion],
) -> CreateView:
    """A function that creates the view of telemetry without the columns that contain personal data."""
    columns, mapping = columns_of(TELEMETRY, settings), settings.telemetry.columns
    reading = Reading(columns, mapping, percent_versions=percent_versions(versions.values()))

    def create_view(relation: str, partitions: Sequence[Partition], without: str | None) -> None:
        create_view_of_partitions(connection, relation, partitions, reading, LeftOut(personal_data, without))

    return create_view


@dataclass(frozen=True, slots=True)
class _Judged:
    """Result of the contract: the days to count, the rows to leave out, and the refused days with reasons."""

    usable: Sequence[Partition]
    checks: Sequence[ContractCheck]
    quarantined: Sequence[Quarantined]
    blocked: Mapping[date, str]


def _judge(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    partitions: Sequence[Partition],
    create_view: CreateView,
) -> _Judged:
    """Check the rows of the view `predictions` against the contract, and reduce the view to the rows to count."""
    telemetry = settings.telemetry
    days = [partition.dt for partition in partitions]
    create_table(connection, "partition_days", day_bounds(days, settings.schedule.timezone))
    contract.create_view(connection)
    checks = contract.check(connection, days)
    checks += check_suites(connection, contract, partitions, telemetry.columns, telemetry.features_column)
    quarantined: Sequence[Quarantined] = []
    if has_broken_rows := bool(days_with_broken_rows(checks, contract)):
        quarantined = create_view_of_valid_rows(connection, contract, create_view, "predictions", partitions)
    blocked = _mostly_quarantined_days(partitions, quarantined, settings) | blocked_days(checks)
    usable = [partition for partition in partitions if partition.dt not in blocked]
    if blocked and has_broken_rows:
        create_view_of_valid_rows(connection, contract, create_view, "predictions", usable)
    elif blocked:
        create_view("predictions", usable, None)
    return _Judged(usable, checks, quarantined, blocked)


def _mostly_quarantined_days(
    partitions: Sequence[Partition], quarantined: Sequence[Quarantined], settings: Settings
) -> dict[date, str]:
    """Days with too many rows in quarantine, with the reason."""
    gutted = {}
    for partition in partitions:
        broken = [record for record in quarantined if record.dt == partition.dt]
        share = sum(record.row_count or 0 for record in broken) / partition.row_count
        if share > settings.contracts.largest_quarantined_share:
            why = "; ".join(dict.fromkeys(f"{record.expectation}: {record.reason}" for record in broken))
            gutted[partition.dt] = (
                f"{share:.1%} of the rows break the contract, which is more than contracts.largest_quarantined_share "
                f"({why})"
            )
    return gutted


def _checks_of_days(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    partitions: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    profiles: Profiles,
    usual: Sequence[UsualRows],
    settings: ContractSettings,
) -> list[ContractCheck]:
    """Outcomes of the rules about whole days, for the days that were counted."""
    usual_of = {of_day.dt: of_day for of_day in usual}
    checks = [
        *check_evenings(connection, contract, settings.quiet_hours),
        *check_completeness(contract, profiles.tables["feature_stats"], versions, settings),
    ]
    for partition in partitions:
        checks += check_row_count(contract, partition, usual_of[partition.dt], settings.row_count_factor)
        duplicates = profiles.duplicate_counts.get(partition.dt, 0)
        found = Measurement(partition.dt, partition.row_count, duplicates, f"{duplicates:,} rows")
        checks += contract.measured("prediction_is_unique", found)
    return checks


def _explained(
    settings: Settings, partitions: Sequence[Partition], versions: Mapping[tuple[str, str], ModelVersion]
) -> _Read:
    if not partitions:
        return _Read({}, [], {})
    checked, rows, found = summed_explanations(settings, partitions, versions)
    failed = failed_checks("explanations", checked, [], personal_data=found)
    audited = audit_replacements("explanations", checked, [], failed)
    return _Read({"importance_profile": rows}, audited, _refusals_by_day(checked))


def _skewed(
    settings: Settings,
    telemetry: Sequence[Partition],
    offline: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    profiled: _Profiled,
) -> _Read:
    """Served features compared with offline values."""
    if not offline:
        return _Read({"feature_skew": arrow_schema("feature_skew").empty_table()}, [], {})
    counted = [partition for partition in telemetry if partition.dt not in profiled.blocked]
    segments = profiled.profiles.tables["prediction_profile"]
    checked, rows = without_corrupt_files(
        offline, lambda usable: compare_offline(settings, counted, usable, versions, counted_segments(segments))
    )
    failed = failed_checks("offline_values", checked, [])
    audited = audit_replacements("offline_values", checked, [], failed)
    return _Read({"feature_skew": rows}, audited, _refusals_by_day(checked))


def _refusals_by_day(partitions: Sequence[Partition]) -> Mapping[date, Sequence[str]]:
    return {
        partition.dt: [*(file.refusal or "" for file in partition.refusals), *unread_columns_of(partition)]
        for partition in partitions
    }


def _schema_changes(
    settings: Settings,
    partitions: Sequence[Partition],
    since: Sequence[DayChanges],
    profiled: _Profiled,
    versions: Mapping[tuple[str, str], ModelVersion],
) -> Replacement:
    """Changes of the columns of some days, also of refused days, like the record of the files."""
    days = [partition.dt for partition in partitions]
    changes = [change for of_day in since if of_day.dt in days for change in of_day.changes]
    for partition in partitions:
        changes += schema_changes.changes_of_versions(
            partition, profiled.file_versions, versions, settings.telemetry.features_column
        )
    return Replacement("schema_changes", schema_changes.rows(changes), days)


def _profile_run(
    warehouse: Warehouse,
    partition: Partition,
    profiled: _Profiled,
    refusals: Sequence[Mapping[date, Sequence[str]]],
    closed: Mapping[date, str],
    work: Work,
) -> PartitionRun:
    refused = [item.message for item in profiled.profiles.refused_features if item.key.dt == partition.dt]
    refused += [message for by_day in refusals for message in by_day.get(partition.dt, [])]
    refused += unread_columns_of(partition)
    left_out = left_out_sentences(partition, profiled.quarantined)
    outcome, reason = "complete", None
    if not partition.files:
        reason = closed.get(partition.dt, f"no telemetry file for the day{partition.skipped_text}")
        outcome = "missing"
    elif not partition.is_usable:
        outcome, reason = "refused", refusals_of(partition)
    elif partition.dt in profiled.blocked:
        outcome, reason = "refused", profiled.blocked[partition.dt]
    elif refused or left_out:
        outcome, reason = "partial", "; ".join(dict.fromkeys([*left_out, *refused]))
    elif not partition.row_count and has_stored_rows(warehouse, "prediction_profile", partition.dt):
        outcome, reason = (
            "refused",
            "the telemetry files of the day no longer have rows; the earlier counts are kept",
        )
    elif not partition.row_count:
        outcome, reason = "empty", "the telemetry files of the day have no rows"
    # the next run tries unreadable rows again, because the storage may have been at fault
    is_certain = not (partition.is_probed and partition.refusals)
    fingerprint = work.fingerprints[partition.dt] if is_certain else None
    rows = counted_rows(partition, profiled.quarantined)
    return PartitionRun(partition.dt, work.stage, outcome, rows, reason, fingerprint)
