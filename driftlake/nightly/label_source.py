"""Labels joined to their predictions and counted by the day on which both were known: rows of the label tables.

Not here: statistics from the counts (`driftlake.quality.measures`) and which days are written
(`driftlake.nightly.labels`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial

import duckdb
import pyarrow as pa

from driftlake.config import LabelSettings, Settings
from driftlake.contract.custom_suites import check_suites
from driftlake.contract.day_checks import day_bounds
from driftlake.contract.quarantine import (
    CreateView,
    Quarantined,
    create_view_of_valid_rows,
    days_with_broken_rows,
    rows_table,
)
from driftlake.contract.row_checks import ContractCheck, Contracts, Measurement, blocked_days
from driftlake.contract.score_checks import check_labelled_days
from driftlake.engines import engine_of
from driftlake.inputs.columns import label_columns, telemetry_columns
from driftlake.inputs.partitions import Partition, probe, readable, without_corrupt_files
from driftlake.inputs.predictions import (
    LeftOut,
    Reading,
    create_version_tables,
    create_view_of_partitions,
    percent_versions,
)
from driftlake.lake.session import create_table, open_session
from driftlake.lineage.versions import ModelVersion
from driftlake.privacy.personal_columns import found_in_predictions
from driftlake.privacy.personal_data import Finding
from driftlake.profiles.label_join import EARLY_LABEL_DAYS, Delivered, LabelJoin, cohorts_of, lookback_days

COHORT_TABLES = ("label_cohorts", "shadow_cohorts", "class_cohorts", "class_score_cohorts", "label_conflicts")


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Rows of COHORT_TABLES and label_arrivals, the results of the contract, and the quarantined rows."""

    tables: Mapping[str, pa.Table]
    checks: Sequence[ContractCheck]
    quarantined: Sequence[Quarantined]


def history_days(settings: LabelSettings) -> int:
    """Days before an arrival on which its counts depend: an earlier label of an early label can lie in these days."""
    return lookback_days(settings) + EARLY_LABEL_DAYS


@dataclass(slots=True, kw_only=True)
class LabelSource:
    """The input of counting labels: label partitions from `history_days` before the first day, and the same for telemetry.

    `checked_days` are days whose labels are known to meet their contract; they are not checked again. `broken_days`
    has, by source, the days with rows that break a contract, which are left out. `judge` refuses days that lack too
    much.
    """

    settings: Settings
    label_settings: LabelSettings
    labels: dict[date, Partition]
    telemetry: Sequence[Partition]
    versions: Sequence[ModelVersion]
    contracts: Contracts | None
    # rows of sql/labels/counted_segments.sql
    segments: pa.Table
    # rows of sql/labels/counted_rates.sql
    sampling_rates: pa.Table
    judge: Callable[[Partition], Partition] = lambda partition: partition
    checked_days: set[date] = field(default_factory=set)
    broken_days: Mapping[str, set[date]] = field(default_factory=lambda: {"telemetry": set(), "labels": set()})
    _checks: list[ContractCheck] = field(default_factory=list)
    _quarantined: list[Quarantined] = field(default_factory=list)
    _blocked: dict[date, Mapping[str, Finding]] = field(default_factory=dict)

    def without(self, versions: Collection[tuple[str, ...]]) -> LabelSource:
        """A copy without some versions, by model_id and model_version; its results are not shared with the original."""
        return replace(
            self,
            labels=dict(self.labels),
            versions=[each for each in self.versions if (each.model_id, each.model_version) not in versions],
            checked_days=set(self.checked_days),
            broken_days={source: set(days) for source, days in self.broken_days.items()},
            _checks=list(self._checks),
            _quarantined=list(self._quarantined),
            _blocked=dict(self._blocked),
        )

    @property
    def classes(self) -> list[str]:
        """Classes of all multiclass models."""
        return sorted({name for version in self.versions for name in version.classes})

    @property
    def unreadable_prediction_days(self) -> list[date]:
        """Days whose telemetry is missing or refused."""
        return [partition.dt for partition in self.telemetry if not partition.is_usable]

    def count(self, chunk: Sequence[Partition]) -> tuple[list[Partition], LabelCounts]:
        """Count the labels that became known on the days of `chunk`; files that turn out to be corrupt are refused."""
        first_day, last_day = span = (chunk[0].dt, chunk[-1].dt)
        reach = timedelta(days=history_days(self.label_settings))
        earlier = [label for day, label in self.labels.items() if first_day - reach <= day < first_day]
        # an early label may be about a prediction that many days before it
        horizon = timedelta(days=self.label_settings.horizon_days + EARLY_LABEL_DAYS)

        def in_reach(partition: Partition) -> bool:
            return first_day - horizon <= partition.dt <= last_day

        def count_with(telemetry: Sequence[Partition]) -> tuple[list[Partition], LabelCounts]:
            return without_corrupt_files(
                [*earlier, *chunk], lambda usable: self._count(usable, telemetry, span), self.judge
            )

        try:
            labels, counted = count_with(readable([p for p in self.telemetry if in_reach(p)]))
        except (duckdb.Error, pa.ArrowException, OSError):
            self.telemetry = [probe(p) if in_reach(p) else p for p in self.telemetry]
            labels, counted = count_with(readable([p for p in self.telemetry if in_reach(p)]))
        return [partition for partition in labels if partition.dt >= first_day], counted

    def _count(
        self, labels: Sequence[Partition], telemetry: Sequence[Partition], span: tuple[date, date]
    ) -> LabelCounts:
        first_day, last_day = span
        row_count = sum(partition.row_count for partition in (*labels, *telemetry))
        with open_session(self.settings, row_count=row_count) as connection:
            create_version_tables(connection, self.versions, self.settings.models)
            kept = self._keep_checked(connection, labels)
            join = LabelJoin(self.label_settings, first_day, last_day, self.segments, self.sampling_rates)
            sums = dict(
                engine_of(self.settings).join_labels(
                    connection, self.settings, join, self._delivered(connection, kept, telemetry)
                )
            )
            self._check_horizon(kept, first_day, sums.pop("ambiguous_labels"))
            tables = {"label_cohorts": cohorts_of(connection, sums.pop("label_sums")), **sums}
        if self.contracts:
            by_key = {(version.model_id, version.model_version): version for version in self.versions}
            self._checks += check_labelled_days(self.contracts.labels, tables["label_cohorts"], by_key)
        return LabelCounts(
            tables,
            [check for check in self._checks if first_day <= check.dt <= last_day],
            [record for record in self._quarantined if first_day <= record.dt <= last_day],
        )

    def _delivered(
        self, connection: duckdb.DuckDBPyConnection, labels: Sequence[Partition], telemetry: Sequence[Partition]
    ) -> Delivered:
        return Delivered(
            labels,
            telemetry,
            self.versions,
            self._label_side,
            self._prediction_side,
            partial(self._create_labels_view, connection),
            partial(self._create_predictions_view, connection),
        )

    def _keep_checked(self, connection: duckdb.DuckDBPyConnection, labels: Sequence[Partition]) -> list[Partition]:
        """Labels without the days that break their contract, which must not count as first arrivals later."""
        unchecked = [label for label in labels if label.row_count and label.dt not in self.checked_days]
        if self.contracts and unchecked:
            contract = self.contracts.labels
            self._all_labels(connection)("labels", unchecked, None)
            contract.create_view(connection)
            checks = contract.check(connection, [label.dt for label in unchecked])
            checks += check_suites(connection, contract, unchecked, self.label_settings.columns)
            self._checks += checks
            self.checked_days.update(label.dt for label in unchecked)
            if broken := days_with_broken_rows(checks, contract):
                self.broken_days["labels"].update(broken)
                of_days = [label for label in unchecked if label.dt in broken]
                self._quarantined += create_view_of_valid_rows(
                    connection, contract, self._all_labels(connection), "labels", of_days
                )
            for day, reason in blocked_days(checks).items():
                self.labels[day] = self.labels[day].refused(reason)
        return [label for label in labels if self.labels[label.dt].is_usable]

    def _check_horizon(self, labels: Sequence[Partition], first_day: date, found: pa.Table) -> None:
        """Check whether each matched id belongs to one prediction. This is the only rule over many days at once."""
        if not self.contracts:
            return
        ambiguous = {row["dt"]: row["label_count"] for row in found.to_pylist()}
        for label in labels:
            if label.dt >= first_day and label.row_count:
                measured = Measurement(label.dt, label.row_count, ambiguous.get(label.dt, 0))
                self._checks += self.contracts.labels.measured("correlation_id_is_unique_within_the_horizon", measured)

    def _create_labels_view(
        self, connection: duckdb.DuckDBPyConnection, relation: str, partitions: Sequence[Partition]
    ) -> LeftOut:
        """Labels without the rows that break a rule of severity error."""
        create_view = self._all_labels(connection)
        if self.contracts and any(p.dt in self.broken_days["labels"] for p in partitions):
            create_view_of_valid_rows(connection, self.contracts.labels, create_view, relation, partitions)
            return LeftOut(rows=rows_table(relation))
        create_view(relation, partitions, None)
        return LeftOut()

    def _create_predictions_view(
        self, connection: duckdb.DuckDBPyConnection, relation: str, partitions: Sequence[Partition]
    ) -> LeftOut:
        """Predictions as the profiles have counted them, without the rows that break a rule of severity error."""
        create_view = self._all_predictions(connection)
        blocked = self._blocked_of(partitions)
        if self.contracts and any(p.dt in self.broken_days["telemetry"] for p in partitions):
            bounds = day_bounds([p.dt for p in partitions], self.settings.schedule.timezone)
            create_table(connection, "partition_days", bounds)
            create_view_of_valid_rows(connection, self.contracts.telemetry, create_view, relation, partitions)
            return LeftOut(blocked, rows_table(relation))
        create_view(relation, partitions, None)
        return LeftOut(blocked)

    @property
    def _label_side(self) -> Reading:
        return Reading(
            label_columns(has_classes=any(version.has_label_classes for version in self.versions)),
            self.label_settings.columns,
        )

    @property
    def _prediction_side(self) -> Reading:
        telemetry = self.settings.telemetry
        columns = telemetry_columns(telemetry.segments, time_zone=telemetry.timezone)
        if not self.classes:
            columns = tuple(c.unread() if c.name == "predicted_class" else c for c in columns)
        paths = telemetry.class_scores.paths(self.classes) if telemetry.class_scores else {}
        return Reading(columns, telemetry.columns, telemetry.segments, paths, percent_versions(self.versions))

    def _all_labels(self, connection: duckdb.DuckDBPyConnection) -> CreateView:
        side = self._label_side

        def create_view(relation: str, partitions: Sequence[Partition], without: str | None) -> None:
            create_view_of_partitions(connection, relation, partitions, side, LeftOut(rows=without))

        return create_view

    def _all_predictions(self, connection: duckdb.DuckDBPyConnection) -> CreateView:
        side = self._prediction_side

        def create_view(relation: str, partitions: Sequence[Partition], without: str | None) -> None:
            left_out = LeftOut(self._blocked_of(partitions), without)
            create_view_of_partitions(connection, relation, partitions, side, left_out)

        return create_view

    def _blocked_of(self, partitions: Sequence[Partition]) -> Mapping[date, Collection[str]]:
        return {partition.dt: self._blocked_columns(partition) for partition in partitions}

    def _blocked_columns(self, partition: Partition) -> Collection[str]:
        """Columns of a day of telemetry that contain personal data; detected once, although many days of labels need the day."""
        if partition.dt not in self._blocked:
            self._blocked |= found_in_predictions([partition], self.settings.telemetry)
        return self._blocked.get(partition.dt, ())
