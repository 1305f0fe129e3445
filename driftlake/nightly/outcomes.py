"""Sentences about days that were counted only in part.

Not here: why it was left out (driftlake.contract.quarantine, driftlake.contract.row_checks).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from driftlake.contract.quarantine import Quarantined
from driftlake.inputs.partitions import Partition
from driftlake.lake import queries
from driftlake.lake.warehouse import Warehouse


def refusals_of(partition: Partition) -> str:
    """Why files of a day are not read, in sentences."""
    return "; ".join(dict.fromkeys(file.refusal or "" for file in partition.refusals))


def unread_columns_of(partition: Partition) -> list[str]:
    """Why optional columns of a day are not read, in sentences."""
    return [reason for file in partition.readable.files for reason in file.unread_columns.values()]


def counted_rows(partition: Partition, quarantined: Sequence[Quarantined]) -> int:
    """Rows of a day without those in quarantine."""
    broken = sum(record.row_count or 0 for record in quarantined if record.dt == partition.dt)
    return partition.readable.row_count - broken


def left_out_sentences(partition: Partition, quarantined: Sequence[Quarantined]) -> list[str]:
    """What is in quarantine on a day, in sentences; empty if the whole day is counted."""
    of_day = [record for record in quarantined if record.dt == partition.dt]
    sentences = [file.refusal or "" for file in partition.refusals]
    sentences += [record.sentence.removeprefix(f"{record.dt}: ") for record in of_day]
    share = (1 - partition.refused_share) * counted_rows(partition, of_day) / max(partition.readable.row_count, 1)
    return [f"{share:.1%} of the day is counted", *sentences] if sentences else []


def has_stored_rows(warehouse: Warehouse, table: str, day: date) -> bool:
    """Whether an earlier run stored rows of a day."""
    return bool(warehouse.sql(f"select 1 from {queries.quote(table)} where dt = ? limit 1", [day]).num_rows)
