"""Quarantine: files that cannot be used and rows that break a rule are left out, so that the rest of the day can be counted.

Not here: which rows break a rule (`driftlake.contract.row_checks`) and the outcome of a run for such a day (`driftlake.nightly.outcomes`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

import duckdb
import pyarrow as pa

from driftlake.contract.row_checks import Contract, ContractCheck
from driftlake.inputs.partitions import Partition
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Replacement, Warehouse

FILE_RULE = "file_is_readable"

# Creates a view of partitions without the rows that are in a table.
CreateView = Callable[[str, Sequence[Partition], str | None], None]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file, or rows of a file, that are left out; `row_count` is None if the number of rows of a file is unknown."""

    dt: date
    path: str
    expectation: str
    row_count: int | None
    reason: str

    @property
    def is_file(self) -> bool:
        """Whether it is a whole file rather than rows of a file."""
        return self.expectation == FILE_RULE

    @property
    def sentence(self) -> str:
        """The sentence for people."""
        if self.is_file:
            return f"{self.dt}: {self.reason}"
        return f"{self.dt}: {self.row_count:,} rows of {self.path} break {self.expectation} ({self.reason})"


def create_view_of_valid_rows(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    create_view: CreateView,
    relation: str,
    partitions: Sequence[Partition],
) -> list[Quarantined]:
    """Create the view `relation` without the rows that break a rule of severity error, and return these rows."""
    create_view(contract.checked_from, partitions, None)
    contract.create_view(connection)
    files = [file for partition in partitions for file in partition.files]
    reasons = {rule.name: f"rows where {rule.condition}" for rule in contract.quarantining_rules}
    table = rows_table(relation)
    found = [
        Quarantined(rows.dt, files[rows.file_id].path, rows.expectation, rows.row_count, reasons[rows.expectation])
        for rows in contract.quarantine_rows(connection, table)
    ]
    create_view(relation, partitions, table)
    return found


def rows_table(relation: str) -> str:
    """The table in which `create_view_of_valid_rows` stores the rows of a relation that break a rule: file_id, file_row_number, ..."""
    return f"quarantined_{relation}"


def days_with_broken_rows(checks: Sequence[ContractCheck], contract: Contract) -> set[date]:
    """Days on which some row breaks a rule of severity error."""
    names = {rule.name for rule in contract.quarantining_rules}
    return {check.dt for check in checks if check.is_broken and check.expectation in names}


def refused_files(partitions: Sequence[Partition]) -> list[Quarantined]:
    """The files that are left out of the partitions."""
    return [
        Quarantined(file.dt, file.path, FILE_RULE, file.row_count if file.columns else None, file.refusal or "")
        for partition in partitions
        for file in partition.refusals
    ]


def judge_files(largest_share: float, files_read: Mapping[date, Collection[str]]) -> Callable[[Partition], Partition]:
    """A function that decides which partitions with unusable files are refused as a whole.

    A partition is refused if more than `largest_share` of its bytes cannot be used, or if one of the files was read
    before (`files_read`), because the earlier counts are more complete.
    """

    def judged(partition: Partition) -> Partition:
        lost = [file for file in partition.refusals if file.path in files_read.get(partition.dt, ())]
        if lost:
            return partition.refused(f"{lost[0].path} was read before and cannot be used now; its rows are kept")
        if partition.refused_share > largest_share:
            return partition.refused(
                f"{partition.refused_share:.1%} of the day cannot be used, which is more than "
                "contracts.largest_quarantined_share"
            )
        return partition

    return judged


def files_read(warehouse: Warehouse, source: str, days: Sequence[date]) -> dict[date, set[str]]:
    """Paths of the files that were ever read for each of the days."""
    rows = warehouse.sql(
        "select dt, list(distinct path) as paths from input_files"
        " where source = ? and outcome = 'read' and list_contains(?::date[], dt) group by dt",
        [source, list(days)],
    ).to_pylist()
    return {row["dt"]: set(row["paths"]) for row in rows}


def stored(warehouse: Warehouse, source: str, days: Sequence[date]) -> list[Quarantined]:
    """The rows of table quarantine of the days."""
    rows = warehouse.sql(
        "select dt, path, expectation, row_count, reason from quarantine where source = ? and "
        "list_contains(?::date[], dt)",
        [source, list(days)],
    ).to_pylist()
    return [Quarantined(**row) for row in rows]


def every(warehouse: Warehouse) -> list[Quarantined]:
    """Everything in quarantine, by day."""
    rows = warehouse.sql("select dt, path, expectation, row_count, reason from quarantine order by all").to_pylist()
    return [Quarantined(**row) for row in rows]


def replacement(source: str, quarantined: Sequence[Quarantined], days: Sequence[date]) -> Replacement:
    """The rows of table quarantine for some days."""
    rows = [{"source": source, **asdict(left_out)} for left_out in quarantined]
    table = pa.Table.from_pylist(rows, schema=arrow_schema("quarantine"))
    return Replacement("quarantine", table, days, {"source": source})
