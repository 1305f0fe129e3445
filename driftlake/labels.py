"""Labels joined to their predictions and counted by the day on which both were known: rows of the label tables.

Not here: what the counts say about a model (quality.py) and which days are written (nightly/labels.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from driftlake import queries
from driftlake.binning import PROBABILITY_GRID
from driftlake.columns import label_columns, telemetry_columns
from driftlake.config import LabelSettings, Settings
from driftlake.contracts import ContractCheck, Contracts, blocked_days
from driftlake.day_checks import day_bounds
from driftlake.inputs import Partition, probe, readable, without_corrupt_files
from driftlake.own_suites import check_suites
from driftlake.personal_columns import found_in_predictions
from driftlake.personal_data import Finding
from driftlake.quarantine import Offer, Quarantined, days_with_broken_rows, offer_sound_rows
from driftlake.session import create_table, open_session
from driftlake.telemetry import LeftOut, offer_partitions, offer_versions
from driftlake.versions import ModelVersion

COHORT_TABLES = ("label_cohorts", "shadow_cohorts", "class_cohorts", "class_score_cohorts", "label_conflicts")

# A prediction's file may be written days after its label arrived; older labels without a prediction stay unmatched.
EARLY_LABEL_DAYS = 7


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Rows of COHORT_TABLES and label_arrivals, what their contract said, and the rows that it took out."""

    tables: Mapping[str, pa.Table]
    checks: Sequence[ContractCheck]
    quarantined: Sequence[Quarantined]


def history_days(settings: LabelSettings) -> int:
    """Days before an arrival that its count depends on: those in which an earlier label of an early one can lie."""
    return _memory_days(settings) + EARLY_LABEL_DAYS


@dataclass(slots=True)
class LabelSource:
    """What labels are counted from: label partitions of `history_days` before the first day, telemetry likewise.

    `checked_days` are those whose labels keep their contract as far as is known: they are not checked again.
    `broken_days` are, by source, those with rows that break a contract, which are left out. `judge` refuses days that
    lack too much.
    """

    settings: Settings
    label_settings: LabelSettings
    labels: dict[date, Partition]
    telemetry: Sequence[Partition]
    versions: Sequence[ModelVersion]
    contracts: Contracts | None
    # rows of sql/counted_segments.sql
    segments: pa.Table
    # rows of sql/counted_rates.sql
    sampling_rates: pa.Table
    judge: Callable[[Partition], Partition] = lambda partition: partition
    checked_days: set[date] = field(default_factory=set)
    broken_days: Mapping[str, set[date]] = field(default_factory=lambda: {"telemetry": set(), "labels": set()})
    _checks: list[ContractCheck] = field(default_factory=list)
    _quarantined: list[Quarantined] = field(default_factory=list)
    _blocked: dict[date, Mapping[str, Finding]] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """Classes of all multiclass models."""
        return sorted({name for version in self.versions for name in version.classes})

    @property
    def unreadable_prediction_days(self) -> list[date]:
        """Days whose telemetry is missing or refused."""
        return [partition.dt for partition in self.telemetry if not partition.is_usable]

    def count(self, chunk: Sequence[Partition]) -> tuple[list[Partition], LabelCounts]:
        """Count what became known on the days of `chunk`; files that turn out to be corrupt are refused on the way."""
        first_day, last_day = span = (chunk[0].dt, chunk[-1].dt)
        reach = timedelta(days=history_days(self.label_settings))
        earlier = [label for day, label in self.labels.items() if first_day - reach <= day < first_day]
        horizon = timedelta(days=self.label_settings.horizon_days)

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
        with open_session(self.settings) as connection:
            offer_versions(connection, self.versions, self.settings.models)
            kept = self._keep_checked(connection, labels)
            self._judge(connection, kept, telemetry, first_day)
            self._pair(connection, telemetry, first_day)
            create_table(connection, "counted_segments", self.segments)
            days = {"first_day": first_day, "last_day": last_day}
            queries.run(connection, "class_pairs", **days)
            asked: dict[str, Mapping[str, Any]] = dict.fromkeys(
                ("label_cohorts", "shadow_cohorts", "label_arrivals", "label_conflicts"), days
            )
            asked |= {"class_cohorts": {}, "class_score_cohorts": _SCORE_GRID}
            tables = {name: queries.run(connection, name, **values).to_arrow_table() for name, values in asked.items()}
            self._check_horizon(connection, kept, **days)
        return LabelCounts(
            tables,
            [check for check in self._checks if first_day <= check.dt <= last_day],
            [one for one in self._quarantined if first_day <= one.dt <= last_day],
        )

    def _keep_checked(self, connection: duckdb.DuckDBPyConnection, labels: Sequence[Partition]) -> list[Partition]:
        """Labels without the days that break their contract, which must not count as first arrivals later either."""
        unchecked = [label for label in labels if label.row_count and label.dt not in self.checked_days]
        if self.contracts and unchecked:
            contract = self.contracts.labels
            self._all_labels(connection)("labels", unchecked, None)
            queries.run(connection, contract.relation)
            checks = contract.check(connection, [label.dt for label in unchecked])
            checks += check_suites(connection, contract, unchecked, self.label_settings.columns)
            self._checks += checks
            self.checked_days.update(label.dt for label in unchecked)
            if broken := days_with_broken_rows(checks, contract):
                self.broken_days["labels"].update(broken)
                of_days = [label for label in unchecked if label.dt in broken]
                self._quarantined += offer_sound_rows(
                    connection, contract, self._all_labels(connection), "labels", of_days
                )
            for day, reason in blocked_days(checks).items():
                self.labels[day] = self.labels[day].refused(reason)
        return [label for label in labels if self.labels[label.dt].is_usable]

    def _check_horizon(
        self, connection: duckdb.DuckDBPyConnection, labels: Sequence[Partition], first_day: date, last_day: date
    ) -> None:
        """Whether the ids that labels met are of one prediction: nothing else is asked of so many days at once."""
        if not self.contracts:
            return
        found = queries.run(connection, "ambiguous_labels", first_day=first_day, last_day=last_day).fetchall()
        ambiguous = dict(found)
        for label in labels:
            if label.dt >= first_day and label.row_count:
                count = ambiguous.get(label.dt, 0)
                self._checks += self.contracts.labels.measured(
                    "correlation_id_is_unique_within_the_horizon", label.dt, label.row_count, count, ""
                )

    def _judge(
        self,
        connection: duckdb.DuckDBPyConnection,
        labels: Sequence[Partition],
        telemetry: Sequence[Partition],
        first_day: date,
    ) -> None:
        """Fill label_rows: which labels count."""
        early = timedelta(days=EARLY_LABEL_DAYS)
        self._offer_labels(connection, "earlier_labels", [label for label in labels if label.dt < first_day])
        self._offer_labels(
            connection, "recent_labels", [label for label in labels if first_day - early <= label.dt < first_day]
        )
        # last, because rows that break their contract are looked for in a relation of this name
        self._offer_labels(connection, "labels", [label for label in labels if label.dt >= first_day])
        self._offer_predictions(
            connection, "new_predictions", [p for p in telemetry if first_day <= p.dt < first_day + early]
        )
        queries.run(connection, "remembered_labels", first_day=first_day)
        queries.run(connection, "label_rows", memory_days=_memory_days(self.label_settings))

    def _pair(self, connection: duckdb.DuckDBPyConnection, telemetry: Sequence[Partition], first_day: date) -> None:
        """Fill label_pairs: labels with their predictions, of which only the days asked for are read."""
        reach = {
            "first_day": first_day,
            "horizon_days": self.label_settings.horizon_days,
            "early_days": EARLY_LABEL_DAYS,
        }
        policy = {"is_latest": self.label_settings.corrections == "latest"}
        awaited = {day for (day,) in queries.run(connection, "awaited_days", **reach, **policy).fetchall()}
        self._offer_predictions(connection, "predictions", [p for p in telemetry if p.dt in awaited])
        create_table(connection, "counted_rates", self.sampling_rates)
        queries.run(connection, "label_pairs", **reach, **policy)
        queries.run(connection, "label_corrections", **policy)

    def _offer_labels(
        self, connection: duckdb.DuckDBPyConnection, relation: str, partitions: Sequence[Partition]
    ) -> None:
        """Labels without the rows that break a rule of severity error."""
        offer = self._all_labels(connection)
        if self.contracts and any(p.dt in self.broken_days["labels"] for p in partitions):
            offer_sound_rows(connection, self.contracts.labels, offer, relation, partitions)
        else:
            offer(relation, partitions, None)

    def _offer_predictions(
        self, connection: duckdb.DuckDBPyConnection, relation: str, partitions: Sequence[Partition]
    ) -> None:
        """Predictions without the rows that break a rule of severity error, as the profiles have counted them."""
        offer = self._all_predictions(connection)
        if self.contracts and any(p.dt in self.broken_days["telemetry"] for p in partitions):
            bounds = day_bounds([p.dt for p in partitions], self.settings.schedule.timezone)
            create_table(connection, "partition_days", bounds)
            offer_sound_rows(connection, self.contracts.telemetry, offer, relation, partitions)
        else:
            offer(relation, partitions, None)

    def _all_labels(self, connection: duckdb.DuckDBPyConnection) -> Offer:
        columns = label_columns(has_classes=bool(self.classes))

        def offer(relation: str, partitions: Sequence[Partition], without: str | None) -> None:
            offer_partitions(
                connection, relation, partitions, columns, self.label_settings.columns, left_out=LeftOut(rows=without)
            )

        return offer

    def _all_predictions(self, connection: duckdb.DuckDBPyConnection) -> Offer:
        telemetry = self.settings.telemetry
        columns = telemetry_columns(telemetry.segments)
        if not self.classes:
            columns = tuple(c.unread() if c.name == "predicted_class" else c for c in columns)
        scores = telemetry.class_scores
        paths = {name: scores.path_prefix + name for name in self.classes} if scores else {}

        def offer(relation: str, partitions: Sequence[Partition], without: str | None) -> None:
            blocked = {partition.dt: self._blocked_columns(partition) for partition in partitions}
            offer_partitions(
                connection, relation, partitions, columns, telemetry.columns, telemetry.segments, paths,
                left_out=LeftOut(blocked, without),
            )  # fmt: skip

        return offer

    def _blocked_columns(self, partition: Partition) -> Collection[str]:
        """Columns of a day of telemetry that hold personal data; looked for once, though many days of labels need the day."""
        if partition.dt not in self._blocked:
            self._blocked |= found_in_predictions([partition], self.settings.telemetry)
        return self._blocked.get(partition.dt, ())


_SCORE_GRID = {
    "grid_lower": PROBABILITY_GRID.lower,
    "grid_upper": PROBABILITY_GRID.upper,
    "grid_cells": PROBABILITY_GRID.cells,
}


def _memory_days(settings: LabelSettings) -> int:
    """Days before an arrival in which an earlier label of the same prediction can lie."""
    return settings.horizon_days + EARLY_LABEL_DAYS
