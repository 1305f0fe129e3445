"""Labels joined to their predictions and counted by the day on which both were known: rows of the label tables.

Not here: what the counts say about a model (quality.py) and which days are written (nightly.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from driftlake import queries
from driftlake.columns import LABEL_COLUMNS, TELEMETRY_COLUMNS
from driftlake.config import LabelSettings, Settings
from driftlake.contracts import ContractCheck, ContractChecker, blocked_days
from driftlake.inputs import Partition
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


def count_labels(
    settings: Settings,
    labels: Sequence[Partition],
    telemetry: Sequence[Partition],
    span: tuple[date, date],
    versions: Sequence[ModelVersion],
    check_contract: ContractChecker | None,
) -> LabelCounts:
    """Count what became known on the days of `span`.

    `labels` and `telemetry` are readable partitions that reach back as far as `memory_days` and the horizon.
    """
    if settings.labels is None:
        raise ValueError("there are no labels to count")
    first_day, last_day = span
    with open_session(settings) as connection:
        offer_partitions(connection, "labels", labels, LABEL_COLUMNS, settings.labels.columns)
        # the days before are checked again: labels that were refused then must not count as first arrivals now
        filled = [partition.dt for partition in labels if partition.row_count]
        checks = check_contract(connection, filled) if check_contract and filled else []
        if blocked := blocked_days(checks):
            kept = [partition for partition in labels if partition.dt not in blocked]
            offer_partitions(connection, "labels", kept, LABEL_COLUMNS, settings.labels.columns)
        offer_versions(connection, versions)
        offer_partitions(connection, "predictions", telemetry, TELEMETRY_COLUMNS, settings.telemetry.columns)
        queries.run(connection, "scored_predictions")
        queries.run(connection, "label_rows", memory_days=memory_days(settings.labels))
        queries.run(connection, "label_pairs", horizon_days=settings.labels.horizon_days, early_days=EARLY_LABEL_DAYS)
        tables = {
            name: queries.run(connection, name, first_day=first_day, last_day=last_day).to_arrow_table()
            for name in ("label_cohorts", "label_arrivals")
        }
    return LabelCounts(tables, [check for check in checks if check.dt >= first_day])
