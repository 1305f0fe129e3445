"""Labels joined to their predictions and counted by the day on which both were known: rows of the label tables.

Not here: what the counts say about a model (quality.py) and which days are written (nightly.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pyarrow as pa

from driftlake import queries
from driftlake.columns import LABEL_COLUMNS, TELEMETRY_COLUMNS
from driftlake.config import LabelSettings, Settings
from driftlake.contracts import ContractCheck, ContractChecker, blocked_days
from driftlake.inputs import Partition, probe, without_corrupt_files
from driftlake.session import open_session
from driftlake.telemetry import offer_partitions, offer_versions
from driftlake.versions import ModelVersion

# A prediction's file may be written days after its label arrived; older labels without a prediction stay unmatched.
EARLY_LABEL_DAYS = 7


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Rows of label_cohorts and label_arrivals, and what their contract said."""

    tables: Mapping[str, pa.Table]
    checks: Sequence[ContractCheck]


def memory_days(settings: LabelSettings) -> int:
    """Days before an arrival in which an earlier label of the same prediction can lie."""
    return settings.horizon_days + EARLY_LABEL_DAYS


@dataclass(slots=True)
class LabelSource:
    """What labels are counted from: label and telemetry partitions that reach back as far as the join looks."""

    settings: Settings
    label_settings: LabelSettings
    labels: Mapping[date, Partition]
    telemetry: Sequence[Partition]
    versions: Sequence[ModelVersion]
    check_contract: ContractChecker | None

    @property
    def unreadable_prediction_days(self) -> list[date]:
        """Days whose telemetry is missing or refused."""
        return [partition.dt for partition in self.telemetry if not partition.is_usable]

    def count(self, chunk: Sequence[Partition]) -> tuple[list[Partition], LabelCounts]:
        """Count what became known on the days of `chunk`; files that turn out to be corrupt are refused on the way."""
        first_day, last_day = chunk[0].dt, chunk[-1].dt
        reach = timedelta(days=memory_days(self.label_settings))
        earlier = [label for day, label in self.labels.items() if first_day - reach <= day < first_day]
        horizon = timedelta(days=self.label_settings.horizon_days)

        def in_reach(partition: Partition) -> bool:
            return first_day - horizon <= partition.dt <= last_day

        def count_with(telemetry: Sequence[Partition]) -> tuple[list[Partition], LabelCounts]:
            return without_corrupt_files(
                [*earlier, *chunk], lambda usable: self._count(usable, telemetry, (first_day, last_day))
            )

        try:
            labels, counted = count_with([p for p in self.telemetry if in_reach(p) and p.is_usable])
        except (duckdb.Error, pa.ArrowException, OSError):
            self.telemetry = [probe(p) if in_reach(p) else p for p in self.telemetry]
            labels, counted = count_with([p for p in self.telemetry if in_reach(p) and p.is_usable])
        return [partition for partition in labels if partition.dt >= first_day], counted

    def _count(
        self, labels: Sequence[Partition], telemetry: Sequence[Partition], span: tuple[date, date]
    ) -> LabelCounts:
        first_day, last_day = span
        mapping = self.label_settings.columns
        with open_session(self.settings) as connection:
            offer_partitions(connection, "labels", labels, LABEL_COLUMNS, mapping)
            # the days before are checked again: labels that were refused then must not count as first arrivals now
            filled = [partition.dt for partition in labels if partition.row_count]
            checks = self.check_contract(connection, filled) if self.check_contract and filled else []
            if blocked := blocked_days(checks):
                kept = [partition for partition in labels if partition.dt not in blocked]
                offer_partitions(connection, "labels", kept, LABEL_COLUMNS, mapping)
            offer_versions(connection, self.versions)
            offer_partitions(connection, "predictions", telemetry, TELEMETRY_COLUMNS, self.settings.telemetry.columns)
            queries.run(connection, "scored_predictions")
            queries.run(connection, "label_rows", memory_days=memory_days(self.label_settings))
            queries.run(
                connection,
                "label_pairs",
                horizon_days=self.label_settings.horizon_days,
                early_days=EARLY_LABEL_DAYS,
            )
            tables = {
                name: queries.run(connection, name, first_day=first_day, last_day=last_day).to_arrow_table()
                for name in ("label_cohorts", "label_arrivals")
            }
        return LabelCounts(tables, [check for check in checks if check.dt >= first_day])
