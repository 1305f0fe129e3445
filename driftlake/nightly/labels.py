"""The stage that joins the labels of days to their predictions.

Not here: counting (driftlake.nightly.label_source).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta

import pyarrow as pa

from driftlake.config import Settings
from driftlake.contract import quarantine
from driftlake.contract.quarantine import judge_files
from driftlake.contract.records import audit_replacements, failed_checks, stored_failures
from driftlake.contract.row_checks import Contracts, blocked_days
from driftlake.inputs.columns import label_columns
from driftlake.inputs.partitions import Partition, check_columns, chunks, days_between
from driftlake.lake import queries
from driftlake.lake.warehouse import PartitionRun, Replacement, RunContext, Warehouse
from driftlake.lineage.versions import load_versions
from driftlake.nightly.isolation import Computed, Isolation, Part, keys_of, version_parts
from driftlake.nightly.label_source import COHORT_TABLES, LabelCounts, LabelSource, history_days
from driftlake.nightly.outcomes import counted_rows, has_stored_rows, refusals_of, what_is_left_out
from driftlake.nightly.readings import counted_labels, counted_telemetry, days_with_rows_in_quarantine, read_labels
from driftlake.nightly.stage_report import StageReport, report
from driftlake.nightly.stages import LABEL_COHORTS, Input, Work, find_work
from driftlake.profiles import sampling_rates


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
    labels, telemetry = read_labels(settings, settings.labels, history), counted_telemetry(warehouse, settings, history)
    counted_rates = sampling_rates.counted_rates(warehouse, history)
    inputs: dict[str, Sequence[Input]] = {
        "labels": labels,
        "telemetry": telemetry,
        "sampling_rates": sampling_rates.rates_of_days(counted_rates, history),
    }
    work = find_work(warehouse, settings, context, LABEL_COHORTS, days, **inputs)
    versions = list(load_versions(warehouse).values())
    columns = label_columns(has_classes=any(version.classes for version in versions))
    labels = [check_columns(partition, columns, settings.labels.columns) for partition in labels]
    as_counted, checked_days = counted_labels(warehouse, labels, set(history) - set(work.days))
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
        {source: days_with_rows_in_quarantine(warehouse, source, history) for source in ("telemetry", "labels")},
    )
    # what the days up to one have taught, and that day: an attempt must not rest on another for the same days
    known, found, found_on = source, source, date.min

    def compute(chunk_days: Sequence[date], left_out: Collection[Part]) -> Computed:
        nonlocal known, found, found_on
        if found_on < chunk_days[0]:
            known = found
        source = known.without(keys_of(left_out, "model version"))
        chunk, counted = source.count([source.labels[day] for day in chunk_days])
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
        replacements = (Replacement.of_days(name, rows, replaced) for name, rows in tables.items())
        audited = audit_replacements("labels", chunk, counted.checks, chunk_failed)
        in_quarantine = quarantine.replacement(
            "labels", [*quarantine.refused_files(chunk), *counted.quarantined], [partition.dt for partition in chunk]
        )
        if not left_out:
            found, found_on = source, chunk_days[-1]
        return Computed([*replacements, *audited, in_quarantine], chunk_runs)

    def parts() -> Sequence[Part]:
        return version_parts((version.model_id, version.model_version) for version in versions)

    isolation = Isolation(warehouse, context, LABEL_COHORTS, compute, parts)
    for planned in chunks([source.labels[day] for day in work.days], settings.compute.rows_per_chunk):
        isolation.work_on([partition.dt for partition in planned])
    return report(work, isolation.outcome, failed_checks=stored_failures(warehouse, "labels", days))


def _label_run(
    warehouse: Warehouse, partition: Partition, counted: LabelCounts, work: Work, *, is_certain: bool
) -> PartitionRun:
    blocked = blocked_days(counted.checks)
    left_out = what_is_left_out(partition, counted.quarantined)
    outcome, reason = "complete", None
    if partition.files and not partition.is_usable:
        outcome, reason = "refused", refusals_of(partition)
    elif partition.dt in blocked:
        outcome, reason = "refused", blocked[partition.dt]
    elif left_out:
        outcome, reason = "partial", "; ".join(left_out)
    elif not partition.row_count and has_stored_rows(warehouse, "label_arrivals", partition.dt):
        outcome, reason = "refused", "the labels of the day are gone; what they said is kept"
    elif not partition.row_count:
        outcome, reason = "empty", "no labels arrived on the day"
    fingerprint = work.fingerprints[partition.dt] if is_certain else None
    rows = counted_rows(partition, counted.quarantined)
    return PartitionRun(partition.dt, work.stage, outcome, rows, reason, fingerprint)


def _stored_cohorts(
    warehouse: Warehouse, table: str, days: Sequence[date], prediction_days: Sequence[date]
) -> pa.Table:
    """Cohorts counted earlier whose telemetry cannot be read any more: they are kept rather than lost."""
    return warehouse.sql(
        f"select * from {queries.quote(table)}"
        " where list_contains(?::date[], dt) and list_contains(?::date[], prediction_on)",
        [list(days), list(prediction_days)],
    )
