"""The stage that joins the labels of days to their predictions.

Not here: counting (driftlake.nightly.label_source).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

import pyarrow as pa

from driftlake.config import LABELS, LabelSettings, Settings
from driftlake.contract import quarantine
from driftlake.contract.quarantine import judge_files
from driftlake.contract.records import audit_replacements, failed_checks, stored_failures
from driftlake.contract.row_checks import Contracts, blocked_days
from driftlake.inputs.partitions import Partition, chunks, days_between
from driftlake.inputs.sources import read_source
from driftlake.lake import queries
from driftlake.lake.warehouse import PartitionRun, Replacement, RunContext, Warehouse
from driftlake.lineage.versions import load_versions
from driftlake.nightly.isolation import Computed, Isolation, Part, keys_of, version_parts
from driftlake.nightly.label_source import COHORT_TABLES, LabelCounts, LabelSource, history_days
from driftlake.nightly.outcomes import counted_rows, has_stored_rows, left_out_sentences, refusals_of, unread_columns_of
from driftlake.nightly.readings import counted_labels, counted_telemetry, days_with_rows_in_quarantine
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
    with warehouse.one_snapshot():
        delivered = _Delivered.read(warehouse, settings, settings.labels, days)
        work = find_work(warehouse, settings, context, LABEL_COHORTS, days, **delivered.inputs())
        source = _label_source(warehouse, settings, settings.labels, contracts, delivered, work)
    counting = _Counting(warehouse, work, source)
    isolation = Isolation(warehouse, context, LABEL_COHORTS, counting.compute, counting.parts)
    for planned in chunks([source.labels[day] for day in work.days], settings.compute.rows_per_chunk):
        isolation.work_on([partition.dt for partition in planned])
    return report(work, isolation.outcome, failed_checks=stored_failures(warehouse, "labels", days))


@dataclass(frozen=True, slots=True)
class _Delivered:
    """The input of some days: labels and telemetry of their history, and the sampling rates of the predictions."""

    history: Sequence[date]
    labels: Sequence[Partition]
    telemetry: Sequence[Partition]
    sampling_rates: pa.Table

    @classmethod
    def read(cls, warehouse: Warehouse, settings: Settings, labels: LabelSettings, days: Sequence[date]) -> Self:
        history = days_between(min(days) - timedelta(days=history_days(labels)), max(days))
        return cls(
            history,
            read_source(settings, LABELS, history),
            counted_telemetry(warehouse, settings, history),
            sampling_rates.counted_rates(warehouse, history),
        )

    def inputs(self) -> dict[str, Sequence[Input]]:
        return {
            "labels": self.labels,
            "telemetry": self.telemetry,
            "sampling_rates": sampling_rates.rates_of_days(self.sampling_rates, self.history),
        }


def _label_source(
    warehouse: Warehouse,
    settings: Settings,
    label_settings: LabelSettings,
    contracts: Contracts | None,
    delivered: _Delivered,
    work: Work,
) -> LabelSource:
    """The delivered input, combined with the records of earlier runs and the registered versions."""
    history = delivered.history
    versions = list(load_versions(warehouse).values())
    as_counted, checked_days = counted_labels(warehouse, delivered.labels, set(history) - set(work.days))
    return LabelSource(
        settings=settings,
        label_settings=label_settings,
        labels=as_counted,
        telemetry=delivered.telemetry,
        versions=versions,
        contracts=contracts,
        segments=warehouse.query("labels/counted_segments", first_day=history[0], last_day=history[-1]),
        sampling_rates=delivered.sampling_rates,
        judge=judge_files(
            settings.contracts.largest_quarantined_share, quarantine.files_read(warehouse, "labels", work.days)
        ),
        checked_days=checked_days,
        broken_days={
            source: days_with_rows_in_quarantine(warehouse, source, history) for source in ("telemetry", "labels")
        },
    )


class _Counting:
    """Counts days in order. What it finds out about labels is used for later days.

    An attempt must not use what another attempt at the same days has found out.
    """

    def __init__(self, warehouse: Warehouse, work: Work, source: LabelSource) -> None:
        self._warehouse = warehouse
        self._work = work
        # the state before the days that were attempted last, and the state after them
        self._known = self._found = source
        self._found_on = date.min

    def parts(self) -> Sequence[Part]:
        """The parts that can be left out of a day."""
        return version_parts((version.model_id, version.model_version) for version in self._known.versions)

    def compute(self, days: Sequence[date], left_out: Collection[Part]) -> Computed:
        """Rows of some days without some model versions."""
        if self._found_on < days[0]:
            self._known = self._found
        source = self._known.without(keys_of(left_out, "model version"))
        chunk, counted = source.count([source.labels[day] for day in days])
        # days that were counted without unreadable rows are counted again by the next run
        is_certain = not any(partition.is_probed for partition in (*chunk, *source.telemetry))
        runs = [_label_run(self._warehouse, p, counted, self._work, is_certain=is_certain) for p in chunk]
        replaced = [run.dt for run in runs if run.outcome != "refused"]
        changes = [
            *self._counted_rows(counted, replaced, source.unreadable_prediction_days),
            *audit_replacements("labels", chunk, counted.checks, failed_checks("labels", chunk, counted.checks)),
            quarantine.replacement(
                "labels",
                [*quarantine.refused_files(chunk), *counted.quarantined],
                [partition.dt for partition in chunk],
            ),
        ]
        if not left_out:
            self._found, self._found_on = source, days[-1]
        return Computed(changes, runs)

    def _counted_rows(
        self, counted: LabelCounts, days: Sequence[date], unreadable: Sequence[date]
    ) -> Iterator[Replacement]:
        """Rows of `days`. Earlier counts about predictions of `unreadable` days are kept, so that they are not lost."""
        for name, rows in counted.tables.items():
            has_older = unreadable and name in COHORT_TABLES
            kept = [_stored_cohorts(self._warehouse, name, days, unreadable)] if has_older else []
            yield Replacement.of_days(name, pa.concat_tables([rows, *kept]), days)


def _label_run(
    warehouse: Warehouse, partition: Partition, counted: LabelCounts, work: Work, *, is_certain: bool
) -> PartitionRun:
    blocked = blocked_days(counted.checks)
    left_out = left_out_sentences(partition, counted.quarantined)
    outcome, reason = "complete", None
    if partition.files and not partition.is_usable:
        outcome, reason = "refused", refusals_of(partition)
    elif partition.dt in blocked:
        outcome, reason = "refused", blocked[partition.dt]
    elif left_out := [*left_out, *unread_columns_of(partition)]:
        outcome, reason = "partial", "; ".join(left_out)
    elif not partition.row_count and has_stored_rows(warehouse, "label_arrivals", partition.dt):
        outcome, reason = "refused", "the label files of the day no longer exist; their counts are kept"
    elif not partition.row_count:
        outcome, reason = "empty", f"no labels arrived on the day{partition.skipped_text}"
    fingerprint = work.fingerprints[partition.dt] if is_certain else None
    rows = counted_rows(partition, counted.quarantined)
    return PartitionRun(partition.dt, work.stage, outcome, rows, reason, fingerprint)


def _stored_cohorts(
    warehouse: Warehouse, table: str, days: Sequence[date], prediction_days: Sequence[date]
) -> pa.Table:
    return warehouse.sql(
        f"select * from {queries.quote(table)}"
        " where list_contains(?::date[], dt) and list_contains(?::date[], prediction_on)",
        [list(days), list(prediction_days)],
    )
