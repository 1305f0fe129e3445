"""The stages of a night: read the inputs, call the pure parts, replace the partitions of the result tables.

Every stage takes the days it is about and may be run again for any of them; days on which nothing changed are left
alone. What cannot be read is recorded and left as it was; it never stops the other days. Not here: formulas, SQL,
Dagster, and what a day rests on (stages.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from driftlake import (
    alerting,
    attribution,
    combinations,
    drift,
    importance,
    incidents,
    levels,
    multivariate,
    profiling,
    quality,
    quarantine,
    queries,
    runs,
    sampling,
    schema_changes,
    shadow,
    slos,
)
from driftlake.audit import audit_replacements, failed_checks, stored_failures
from driftlake.columns import EXPLANATION_COLUMNS, CanonicalColumn, label_columns, telemetry_columns
from driftlake.config import ContractSettings, LabelSettings, Settings
from driftlake.contracts import Contract, ContractCheck, Contracts, blocked_days
from driftlake.day_checks import (
    UsualRows,
    check_completeness,
    check_evenings,
    check_row_count,
    day_bounds,
    usual_rows,
    weekdays_before,
)
from driftlake.errors import ConfigurationError
from driftlake.inputs import (
    Partition,
    check_columns,
    chunks,
    days_between,
    earlier_partitions,
    read_partitions,
    without_corrupt_files,
)
from driftlake.labelled_windows import QualityCounts
from driftlake.labels import COHORT_TABLES, LabelCounts, LabelSource, history_days
from driftlake.own_suites import check_suites
from driftlake.personal_columns import Findings, found_in_profiles
from driftlake.profiling import Profiles
from driftlake.quarantine import Quarantined, days_with_broken_rows, judge_files, offer_sound_rows
from driftlake.schema_changes import DayChanges, FileVersions
from driftlake.session import create_table, open_session
from driftlake.stages import (
    ALERTS,
    DRIFT,
    LABEL_COHORTS,
    MODEL_QUALITY,
    PROFILES,
    SLOS,
    Input,
    Stage,
    Work,
    code_version,
    find_work,
)
from driftlake.summed_explanations import summed_explanations
from driftlake.telemetry import LeftOut, offer_partitions, offer_versions
from driftlake.versions import ModelVersion, load_versions
from driftlake.warehouse import Addition, PartitionRun, Replacement, RunContext, Warehouse


@dataclass(frozen=True, slots=True)
class StageReport:
    """How the days of a stage stand, for logs, metadata and the exit code."""

    stage: str
    # in force after the stage, by day
    runs: Sequence[PartitionRun]
    # days that were left as an earlier run made them, because nothing they rest on changed
    unchanged: Collection[date] = ()
    failed_checks: Sequence[Mapping[str, Any]] = field(default_factory=list)
    # what a person wants to know of a day without a query, by name
    highlights: Mapping[date, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def refused(self) -> list[PartitionRun]:
        """Days whose input was refused, in whole or in part."""
        return [run for run in self.runs if run.outcome in {"refused", "partial"}]


def new_context(settings: Settings, run_id: str, *, is_forced: bool = False) -> RunContext:
    """Identify a run that starts now; a forced one works on days that did not change, too."""
    return RunContext(run_id, code_version(), settings.config_hash, datetime.now(UTC), is_forced)


def profile_days(
    warehouse: Warehouse,
    settings: Settings,
    context: RunContext,
    days: Sequence[date],
    contracts: Contracts | None = None,
) -> StageReport:
    """Check and profile the telemetry of some days."""
    partitions = _telemetry(settings, days)
    since = _since_earlier_days(settings, partitions)
    usual = _usual_rows(settings, partitions) if settings.contracts.enabled else []
    explanations = _explanations(settings, days)
    inputs: dict[str, Sequence[Input]] = {
        "telemetry": partitions,
        "usual_rows": usual,
        "schema_changes": since,
        "explanations": explanations,
    }
    work = find_work(warehouse, settings, context, PROFILES, days, **inputs)
    versions = load_versions(warehouse)
    if not versions:
        raise ConfigurationError(
            f"no model version is registered, and {settings.resolve(settings.lineage.path)} holds no lineage file",
            hint="write one YAML file per model version there, or register one with `driftlake lineage add FILE`",
        )
    changed = set(work.days)
    judge = judge_files(
        settings.contracts.largest_quarantined_share, quarantine.files_read(warehouse, "telemetry", work.days)
    )
    done: list[PartitionRun] = []

    def profile(usable: Sequence[Partition]) -> _Profiled:
        return _profile(settings, usable, versions, contracts.telemetry if contracts else None, usual)

    for planned in chunks([p for p in partitions if p.dt in changed], settings.compute.rows_per_chunk):
        chunk, profiled = without_corrupt_files(planned, profile, judge)
        chunk_failed = failed_checks(
            "telemetry", chunk, profiled.checks, profiled.profiles.refused_features, profiled.personal_data
        )
        explained = _explained(settings, [p for p in explanations if p.dt in {one.dt for one in chunk}], versions)
        chunk_runs = [_profile_run(warehouse, partition, profiled, explained, work) for partition in chunk]
        replaced = [run.dt for run in chunk_runs if run.outcome not in {"refused", "missing"}]
        summed = {name: _of_days(table, replaced) for name, table in explained.tables.items()}
        rows = {**profiled.profiles.tables, **summed}
        tables = (Replacement(name, rows[name], replaced) for name in PROFILES.tables)
        audited = audit_replacements("telemetry", chunk, profiled.checks, chunk_failed)
        changed_columns = _schema_changes(settings, chunk, since, profiled, versions)
        left_out = quarantine.replacement(
            "telemetry",
            [*quarantine.refused_files(chunk), *profiled.quarantined],
            [partition.dt for partition in chunk],
        )
        warehouse.replace_partitions(
            [*tables, *audited, *explained.audited, changed_columns, left_out], chunk_runs, context=context
        )
        done += chunk_runs
    return _report(
        work,
        done,
        failed_checks=stored_failures(warehouse, "telemetry", days),
        highlights=_highlights(warehouse, PROFILES, days),
    )


def count_labels(
    warehouse: Warehouse,
    settings: Settings,
    context: RunContext,
    days: Sequence[date],
    contracts: Contracts | None = None,
) -> StageReport:
    """Check the labels that arrived on some days, join them to their predictions and count them."""
    if settings.labels is None:
        return StageReport("label_cohorts", [])
    history = days_between(min(days) - timedelta(days=history_days(settings.labels)), max(days))
    labels, telemetry = _labels(settings, settings.labels, history), _counted_telemetry(warehouse, settings, history)
    counted_rates = sampling.counted_rates(warehouse, history)
    inputs: dict[str, Sequence[Input]] = {
        "labels": labels,
        "telemetry": telemetry,
        "sampling_rates": sampling.rates_of_days(counted_rates, history),
    }
    work = find_work(warehouse, settings, context, LABEL_COHORTS, days, **inputs)
    versions = list(load_versions(warehouse).values())
    columns = label_columns(has_classes=any(version.classes for version in versions))
    labels = [check_columns(partition, columns, settings.labels.columns) for partition in labels]
    as_counted, checked_days = _counted_labels(warehouse, labels, set(history) - set(work.days))
    source = LabelSource(
        settings,
        settings.labels,
        as_counted,
        telemetry,
        versions,
        contracts,
        warehouse.query("counted_segments", first_day=history[0], last_day=history[-1]),
        counted_rates,
        judge_files(
            settings.contracts.largest_quarantined_share, quarantine.files_read(warehouse, "labels", work.days)
        ),
        checked_days,
        {source: _days_with_broken_rows(warehouse, source, history) for source in ("telemetry", "labels")},
    )
    done: list[PartitionRun] = []
    for planned in chunks([source.labels[day] for day in work.days], settings.compute.rows_per_chunk):
        chunk, counted = source.count(planned)
        chunk_failed = failed_checks("labels", chunk, counted.checks)
        # what was counted without rows that could not be read is counted again by the next run
        is_certain = not any(partition.is_probed for partition in (*chunk, *source.telemetry))
        chunk_runs = [_label_run(warehouse, p, counted, work, is_certain=is_certain) for p in chunk]
        replaced = [run.dt for run in chunk_runs if run.outcome != "refused"]
        unreadable = source.unreadable_prediction_days
        kept = {name: _stored_cohorts(warehouse, name, replaced, unreadable) for name in COHORT_TABLES}
        tables = {
            name: pa.concat_tables([rows, kept[name]]) if name in kept else rows
            for name, rows in counted.tables.items()
        }
        replacements = (Replacement(name, _of_days(rows, replaced), replaced) for name, rows in tables.items())
        audited = audit_replacements("labels", chunk, counted.checks, chunk_failed)
        left_out = quarantine.replacement(
            "labels", [*quarantine.refused_files(chunk), *counted.quarantined], [partition.dt for partition in chunk]
        )
        warehouse.replace_partitions([*replacements, *audited, left_out], chunk_runs, context=context)
        done += chunk_runs
    return _report(work, done, failed_checks=stored_failures(warehouse, "labels", days))


def compare_days(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Compare the windows that end with some days with their references."""
    work = find_work(warehouse, settings, context, DRIFT, days)

    def compare(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        compared = days_between(first_day, last_day)
        buckets = drift.buckets_of(compared, settings.drift)
        with warehouse.offered(buckets=buckets.days()):
            counts, day_counts = warehouse.query("bucket_counts"), warehouse.query("bucket_days")
        versions = load_versions(warehouse)
        feature_drift, prediction_drift = drift.compare_windows(
            counts, day_counts, buckets, versions, settings.drift, compared
        )
        with warehouse.offered(new_drift=feature_drift, new_prediction_drift=prediction_drift):
            shifted = warehouse.query("shifted_features")
        segment_shift = attribution.segment_shift(
            shifted, counts, day_counts, buckets, versions, settings.telemetry.segments, settings.drift
        )
        span = {"first_day": first_day, "last_day": last_day}
        windows_days = list(settings.drift.windows_days)
        explained = warehouse.query(
            "importance_windows", **span, windows_days=windows_days if settings.telemetry.shap else []
        )
        with warehouse.offered(configured_pairs=_configured_pairs(settings)):
            paired = warehouse.query("pair_windows", **span, windows_days=windows_days)
        prediction_levels = levels.measure(
            warehouse.query("prediction_sums", **span, windows_days=windows_days),
            warehouse.query("class_sums", **span, windows_days=windows_days),
            versions,
            settings.models,
        )
        return {
            "feature_drift": feature_drift,
            "prediction_drift": prediction_drift,
            "segment_shift": segment_shift,
            "importance_drift": importance.compare_importance(explained, versions, settings.drift),
            "rare_combinations": combinations.rare_combinations(paired, versions, settings.drift),
            "multivariate_drift": _compare_samples(warehouse, settings, versions, compared),
            "prediction_levels": prediction_levels,
        }

    done = _derive(warehouse, context, work, compare)
    window_days = settings.drift.headline_window_days
    return _report(work, done, highlights=_highlights(warehouse, DRIFT, days, window_days=window_days))


def _compare_samples(
    warehouse: Warehouse, settings: Settings, versions: Mapping[tuple[str, str], ModelVersion], days: Sequence[date]
) -> pa.Table:
    if settings.drift.multivariate is None:
        return multivariate.ROW_SCHEMA.empty_table()
    first_day = days[0] - timedelta(days=max(settings.drift.windows_days) - 1)
    samples = warehouse.query("window_samples", first_day=first_day, last_day=days[-1])
    return multivariate.compare_samples(
        samples, warehouse.query("reference_samples"), versions, settings.drift, settings.drift.multivariate, days
    )


def _configured_pairs(settings: Settings) -> pa.Table:
    rows = [(model_id, *pair) for model_id, model in settings.models.items() for pair in model.pairs]
    names = ("model_id", "feature_a", "feature_b")
    return pa.table({name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(names)})


def measure_quality(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Measure ranking quality and the label backlog as of the end of some days."""
    work = find_work(warehouse, settings, context, MODEL_QUALITY, days)

    def measure(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        span = {"first_day": first_day, "last_day": last_day}
        windows_days = list(settings.quality.windows_days)
        windows = warehouse.query("window_predictions", **span, windows_days=windows_days)
        labels = warehouse.query("quality_counts", **span, windows_days=windows_days)
        scores = warehouse.query("window_scores", **span, windows_days=windows_days)
        calibrated_from = first_day - timedelta(days=settings.quality.calibration_days - 1)
        known_labels = warehouse.query("known_labels", first_day=calibrated_from, last_day=last_day)
        confusions = warehouse.query("class_counts", **span, windows_days=windows_days)
        class_scores = warehouse.query("class_score_counts", **span, windows_days=windows_days)
        counts = QualityCounts(windows, labels, scores, known_labels, confusions, class_scores)
        pair_counts = shadow.PairCounts(
            *(warehouse.query(name, **span, windows_days=windows_days) for name in shadow.QUERIES)
        )
        versions = load_versions(warehouse)
        tables = {
            "model_quality": quality.measure(counts, versions, settings.quality, settings.models),
            "shadow_comparison": shadow.compare(windows, pair_counts, versions, settings.drift, settings.quality),
        }
        if settings.labels:
            tables["label_backlog"] = warehouse.query(
                "label_backlog", **span, horizon_days=settings.labels.horizon_days
            )
        return tables

    done = _derive(warehouse, context, work, measure)
    window_days = settings.quality.headline_window_days
    return _report(work, done, highlights=_highlights(warehouse, MODEL_QUALITY, days, window_days=window_days))


def measure_slos(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Measure the service level objectives as of the end of some days; without any, nothing is left of earlier ones."""
    if not settings.slos and not warehouse.sql("select 1 from slo_status limit 1").num_rows:
        return StageReport(SLOS.name, [])
    work = find_work(warehouse, settings, context, SLOS, days)

    def measure(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        return {"slo_status": slos.measure(warehouse, settings, first_day=first_day, last_day=last_day)}

    return _report(work, _derive(warehouse, context, work, measure))


def raise_alerts(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Raise the alerts of some days, of the objectives as well, which are measured first."""
    measure_slos(warehouse, settings, context, days)
    work = find_work(warehouse, settings, context, ALERTS, days)

    def evaluate(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        raised = alerting.fired(warehouse, settings.alert_rules, first_day=date.min, last_day=last_day)
        alerts, grouped = incidents.group_alerts(
            warehouse, settings, load_versions(warehouse), raised, first_day=first_day, last_day=last_day
        )
        return {"alerts": alerting.with_messages(alerts), "incidents": grouped}

    done = _derive(warehouse, context, work, evaluate)
    return _report(work, done, highlights=_highlights(warehouse, ALERTS, days))


def _derive(
    warehouse: Warehouse, context: RunContext, work: Work, tables_of: Callable[[date, date], Mapping[str, pa.Table]]
) -> list[PartitionRun]:
    """Replace the days to work on in tables that are derived from other tables.

    What lies between them is computed with them, which costs less than a query for each piece, and not written.
    """
    days = work.days
    if not days:
        return []
    tables = {name: _of_days(rows, days) for name, rows in tables_of(days[0], days[-1]).items()}
    written: dict[date, int] = dict.fromkeys(days, 0)
    for table in tables.values():
        for counted in table["dt"].value_counts().to_pylist():
            written[counted["values"]] += counted["counts"]
    done = [
        PartitionRun(day, work.stage, "complete", rows, input_fingerprint=work.fingerprints[day])
        for day, rows in written.items()
    ]
    replacements = [Replacement(name, rows, days) for name, rows in tables.items()]
    warehouse.replace_partitions(replacements, done, context=context)
    return done


def _highlights(
    warehouse: Warehouse, stage: Stage, days: Sequence[date], **values: Any
) -> Mapping[date, Mapping[str, Any]]:
    rows = warehouse.query(f"highlights/{stage.name}", first_day=min(days), last_day=max(days), **values)
    return {row.pop("dt"): row for row in rows.to_pylist()}


def _report(
    work: Work,
    done: Sequence[PartitionRun],
    *,
    failed_checks: Sequence[Mapping[str, Any]] = (),
    highlights: Mapping[date, Mapping[str, Any]] | None = None,
) -> StageReport:
    in_force = sorted([*work.unchanged.values(), *done], key=lambda run: run.dt)
    return StageReport(work.stage, in_force, work.unchanged.keys(), failed_checks, highlights or {})


def _telemetry(settings: Settings, days: Sequence[date]) -> list[Partition]:
    location = settings.resolve(settings.telemetry.path)
    return read_partitions(location, days, _telemetry_columns(settings), settings.telemetry.columns)


def _telemetry_columns(settings: Settings) -> tuple[CanonicalColumn, ...]:
    return telemetry_columns(settings.telemetry.segments, settings.telemetry.latencies)


def _since_earlier_days(settings: Settings, partitions: Sequence[Partition]) -> list[DayChanges]:
    """How the columns of each day differ from those of the last earlier day, whether or not that is worked on."""
    telemetry = settings.telemetry
    columns = _telemetry_columns(settings)
    earlier = earlier_partitions(
        settings.resolve(telemetry.path), partitions, settings.start, columns, telemetry.columns
    )
    return schema_changes.changes_between_days(partitions, earlier, telemetry.features_column)


def _usual_rows(settings: Settings, partitions: Sequence[Partition]) -> list[UsualRows]:
    days = [partition.dt for partition in partitions]
    known = {partition.dt: partition for partition in partitions}
    before = [day for day in weekdays_before(days, settings.start) if day not in known]
    return usual_rows(days, known | {partition.dt: partition for partition in _telemetry(settings, before)})


def _counted_telemetry(warehouse: Warehouse, settings: Settings, days: Sequence[date]) -> list[Partition]:
    """Telemetry as the profiles counted it: what they refused, whatever the reason, gets no labels either."""
    refused = {run["dt"]: run["reason"] for run in runs.refused_profiles(warehouse)}
    stored = quarantine.stored(warehouse, "telemetry", days)
    left_out = {one.path: one.reason for one in stored if one.is_file}
    partitions = [
        replace(p, files=tuple(f.refused(left_out[f.path]) if f.path in left_out else f for f in p.files))
        for p in _telemetry(settings, days)
    ]
    return [p.refused(refused[p.dt]) if p.dt in refused else p for p in partitions]


def _days_with_broken_rows(warehouse: Warehouse, source: str, days: Sequence[date]) -> set[date]:
    return {one.dt for one in quarantine.stored(warehouse, source, days) if not one.is_file}


def _labels(settings: Settings, labels: LabelSettings, days: Sequence[date]) -> list[Partition]:
    """Labels of any kind: whether classes are expected among them is known when the versions are."""
    return read_partitions(settings.resolve(labels.path), days, label_columns(has_classes=True), labels.columns)


def _counted_labels(
    warehouse: Warehouse, partitions: Sequence[Partition], days: Collection[date]
) -> tuple[dict[date, Partition], set[date]]:
    """Labels of every day, of `days` as they were last counted, and which of these need no second check.

    What was refused then is refused here, too. A day whose files are others now is as if it was never counted.
    """
    labels = {partition.dt: partition for partition in partitions}
    checked_days = set()
    for row in warehouse.query("counted_inputs", stage="label_cohorts", source="labels", days=list(days)).to_pylist():
        partition = labels[row["dt"]]
        counted = {(file["path"], file["content_fingerprint"]) for file in row["files"]}
        if counted == {(file.path, file.content_fingerprint) for file in partition.files}:
            checked_days.add(partition.dt)
            if row["outcome"] == "refused":
                labels[partition.dt] = partition.refused(row["reason"])
    return labels, checked_days


@dataclass(frozen=True, slots=True)
class _Explained:
    """SHAP values that were summed up already: tables, the record of their files, and what was refused, by day."""

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
    contract: Contract | None,
    usual: Sequence[UsualRows],
) -> _Profiled:
    columns, mapping = _telemetry_columns(settings), settings.telemetry.columns
    with open_session(settings) as connection:

        def offer(relation: str, offered: Sequence[Partition], without: str | None) -> None:
            offer_partitions(connection, relation, offered, columns, mapping, left_out=LeftOut(found, without))

        offer_versions(connection, list(versions.values()), settings.models)
        kept = [partition for partition in partitions if partition.row_count]
        found = found_in_profiles(kept, settings.telemetry, versions.values())
        offer("predictions", kept, None)
        file_versions = schema_changes.file_versions(connection, kept, versions, settings.telemetry.features_column)
        checks: list[ContractCheck] = []
        quarantined: list[Quarantined] = []
        blocked: dict[date, str] = {}
        if contract and kept:
            create_table(connection, "partition_days", day_bounds([p.dt for p in kept], settings.schedule.timezone))
            queries.run(connection, contract.relation)
            checks = contract.check(connection, [partition.dt for partition in kept])
            checks += check_suites(connection, contract, kept, mapping, settings.telemetry.features_column)
            if has_broken_rows := bool(days_with_broken_rows(checks, contract)):
                quarantined = offer_sound_rows(connection, contract, offer, "predictions", kept)
            blocked = _gutted_days(kept, quarantined, settings) | blocked_days(checks)
            if blocked:
                kept = [partition for partition in kept if partition.dt not in blocked]
                if has_broken_rows:
                    offer_sound_rows(connection, contract, offer, "predictions", kept)
                else:
                    offer("predictions", kept, None)
        profiles = profiling.profile_partitions(connection, settings, kept, versions, found)
        if contract and kept:
            checks += _checks_of_days(connection, contract, kept, versions, profiles, usual, settings.contracts)
        return _Profiled(profiles, checks, file_versions, quarantined, blocked, found)


def _gutted_days(
    partitions: Sequence[Partition], quarantined: Sequence[Quarantined], settings: Settings
) -> dict[date, str]:
    """Days of which too many rows are in quarantine, and what to say of them."""
    gutted = {}
    for partition in partitions:
        broken = [one for one in quarantined if one.dt == partition.dt]
        share = sum(one.row_count or 0 for one in broken) / partition.row_count
        if share > settings.contracts.largest_quarantined_share:
            why = "; ".join(dict.fromkeys(f"{one.expectation}: {one.reason}" for one in broken))
            gutted[partition.dt] = f"{share:.1%} of the rows break the contract, which is too much ({why})"
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
    """What whole days promise, of the days that were counted."""
    usual_of = {one.dt: one for one in usual}
    checks = [
        *check_evenings(connection, contract, settings.quiet_hours),
        *check_completeness(contract, profiles.tables["feature_stats"], versions, settings),
    ]
    for partition in partitions:
        checks += check_row_count(contract, partition, usual_of[partition.dt], settings.row_count_factor)
        surplus = profiles.surplus_counts.get(partition.dt, 0)
        checks += contract.measured(
            "prediction_is_unique", partition.dt, partition.row_count, surplus, f"{surplus:,} rows"
        )
    return checks


def _explanations(settings: Settings, days: Sequence[date]) -> list[Partition]:
    """Files of SHAP values that are summed up already; none if telemetry has them per prediction, or not at all."""
    shap = settings.telemetry.shap
    if shap is None or shap.path is None:
        return []
    return read_partitions(settings.resolve(shap.path), days, EXPLANATION_COLUMNS, {})


def _explained(
    settings: Settings, partitions: Sequence[Partition], versions: Mapping[tuple[str, str], ModelVersion]
) -> _Explained:
    if not partitions:
        return _Explained({}, [], {})
    checked, rows, found = summed_explanations(settings, partitions, versions)
    failed = failed_checks("explanations", checked, [], personal_data=found)
    refusals = {partition.dt: [file.refusal or "" for file in partition.refusals] for partition in checked}
    return _Explained({"importance_profile": rows}, audit_replacements("explanations", checked, [], failed), refusals)


def _schema_changes(
    settings: Settings,
    partitions: Sequence[Partition],
    since: Sequence[DayChanges],
    profiled: _Profiled,
    versions: Mapping[tuple[str, str], ModelVersion],
) -> Replacement:
    """Changes of the columns of some days; like the record of the files, also of days that were refused."""
    days = [partition.dt for partition in partitions]
    changes = [change for of_day in since if of_day.dt in days for change in of_day.changes]
    for partition in partitions:
        changes += schema_changes.changes_of_versions(
            partition, profiled.file_versions, versions, settings.telemetry.features_column
        )
    return Replacement("schema_changes", schema_changes.rows(changes), days)


def _profile_run(
    warehouse: Warehouse, partition: Partition, profiled: _Profiled, explained: _Explained, work: Work
) -> PartitionRun:
    refused = [item.message for item in profiled.profiles.refused_features if item.key.dt == partition.dt]
    refused += explained.refusals.get(partition.dt, [])
    left_out = _left_out(partition, profiled.quarantined)
    outcome, reason = "complete", None
    if not partition.files:
        outcome, reason = "missing", "no telemetry file for the day"
    elif not partition.is_usable:
        outcome, reason = "refused", _refusals(partition)
    elif partition.dt in profiled.blocked:
        outcome, reason = "refused", profiled.blocked[partition.dt]
    elif refused or left_out:
        outcome, reason = "partial", "; ".join(dict.fromkeys([*left_out, *refused]))
    elif not partition.row_count and _has_stored_rows(warehouse, "prediction_profile", partition.dt):
        outcome, reason = "refused", "the telemetry files of the day have no rows any more; what they said is kept"
    elif not partition.row_count:
        outcome, reason = "empty", "the telemetry files of the day have no rows"
    # rows that could not be read are tried again by the next run: it may have been the storage
    is_certain = not (partition.is_probed and partition.refusals)
    fingerprint = work.fingerprints[partition.dt] if is_certain else None
    rows = _counted_rows(partition, profiled.quarantined)
    return PartitionRun(partition.dt, work.stage, outcome, rows, reason, fingerprint)


def _refusals(partition: Partition) -> str:
    return "; ".join(file.refusal or "" for file in partition.refusals)


def _counted_rows(partition: Partition, quarantined: Sequence[Quarantined]) -> int:
    broken = sum(one.row_count or 0 for one in quarantined if one.dt == partition.dt)
    return partition.readable.row_count - broken


def _left_out(partition: Partition, quarantined: Sequence[Quarantined]) -> list[str]:
    """What of a day is in quarantine, in sentences; nothing if all of it is counted."""
    of_day = [one for one in quarantined if one.dt == partition.dt]
    sentences = [file.refusal or "" for file in partition.refusals]
    sentences += [one.sentence.removeprefix(f"{one.dt}: ") for one in of_day]
    share = (1 - partition.refused_share) * _counted_rows(partition, of_day) / max(partition.readable.row_count, 1)
    return [f"{share:.1%} of the day is counted", *sentences] if sentences else []


def _label_run(
    warehouse: Warehouse, partition: Partition, counted: LabelCounts, work: Work, *, is_certain: bool
) -> PartitionRun:
    blocked = blocked_days(counted.checks)
    left_out = _left_out(partition, counted.quarantined)
    outcome, reason = "complete", None
    if partition.files and not partition.is_usable:
        outcome, reason = "refused", _refusals(partition)
    elif partition.dt in blocked:
        outcome, reason = "refused", blocked[partition.dt]
    elif left_out:
        outcome, reason = "partial", "; ".join(left_out)
    elif not partition.row_count and _has_stored_rows(warehouse, "label_arrivals", partition.dt):
        outcome, reason = "refused", "the labels of the day are gone; what they said is kept"
    elif not partition.row_count:
        outcome, reason = "empty", "no labels arrived on the day"
    fingerprint = work.fingerprints[partition.dt] if is_certain else None
    rows = _counted_rows(partition, counted.quarantined)
    return PartitionRun(partition.dt, work.stage, outcome, rows, reason, fingerprint)


def _has_stored_rows(warehouse: Warehouse, table: str, day: date) -> bool:
    return bool(warehouse.sql(f"select 1 from {queries.quote(table)} where dt = ? limit 1", [day]).num_rows)


def _stored_cohorts(
    warehouse: Warehouse, table: str, days: Sequence[date], prediction_days: Sequence[date]
) -> pa.Table:
    """Cohorts counted earlier whose telemetry cannot be read any more: they are kept rather than lost."""
    return warehouse.sql(
        f"select * from {queries.quote(table)}"
        " where list_contains(?::date[], dt) and list_contains(?::date[], prediction_on)",
        [list(days), list(prediction_days)],
    )


def _of_days(rows: pa.Table, days: Sequence[date]) -> pa.Table:
    wanted = set(days)
    return rows.filter(pa.array([day in wanted for day in rows["dt"].to_pylist()], pa.bool_()))
