"""Checks rows of a day against the users' own suites, inside DuckDB.

Not here: reading suite files (`driftlake.contract.suite_files`), Great Expectations (`driftlake.contract.gx_session`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import duckdb
import pyarrow as pa

from driftlake.contract.gx_session import Outcome, validate_rows
from driftlake.contract.row_checks import Contract, ContractCheck, shown
from driftlake.contract.suite_files import CustomExpectation
from driftlake.inputs.parquet_sql import apart_by_case, rows_of
from driftlake.inputs.partitions import Partition

# View of the session with the rows that suites check, as they are in the files.
ROWS = "suite_rows"


def check_suites(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    partitions: Sequence[Partition],
    mapping: Mapping[str, str],
    struct_column: str | None = None,
) -> list[ContractCheck]:
    """Check the rows of each day against the user's suites: one outcome per expectation and day with rows.

    Columns, and the fields of `struct_column`, have their names in the files; mapped columns also have their
    canonical names.

    Raises ContractError if an expectation cannot be evaluated, ConfigurationError if it cannot be built.
    """
    checks: list[ContractCheck] = []
    for partition in partitions if contract.suites else ():
        if partition.row_count:
            columns = _columns(partition, mapping, struct_column, contract.suites)
            connection.execute(f"create or replace view {ROWS} as {rows_of(partition.files, columns)}")
            checks += hold(connection, contract.suites, contract.source, partition.dt)
    return checks


def hold(
    connection: duckdb.DuckDBPyConnection, expectations: Sequence[CustomExpectation], source: str, day: date
) -> list[ContractCheck]:
    """Check the view ROWS against expectations; an expectation about a missing column is broken by every row."""
    there = {name for name, *_ in connection.execute(f"describe {ROWS}").fetchall()}
    [row_count] = connection.execute(f"select count(*) from {ROWS}").fetchone() or (0,)
    absent = {
        place: lacking for place, expectation in enumerate(expectations) if (lacking := _absent(expectation, there))
    }
    asked = [expectation for place, expectation in enumerate(expectations) if place not in absent]
    found = iter(validate_rows(connection, ROWS, asked) if asked else ())
    checks = []
    for place, expectation in enumerate(expectations):
        outcome = Outcome.of_absent(absent[place], row_count) if place in absent else next(found)
        checks.append(_check(expectation, outcome, source, day, row_count))
    return checks


def _columns(
    partition: Partition,
    mapping: Mapping[str, str],
    struct_column: str | None,
    expectations: Sequence[CustomExpectation],
) -> dict[str, str]:
    """Path of every column that is not a list or struct, by name; of names that differ only by case, the one that an expectation uses."""
    kinds = {name: kind for file in partition.files for name, kind in file.columns.items()}
    struct = kinds.get(struct_column or "")
    named = {name: name for name, kind in kinds.items() if not pa.types.is_nested(kind)}
    if struct_column and struct is not None and pa.types.is_struct(struct):
        named = {field.name: f"{struct_column}.{field.name}" for field in struct} | named
    named |= {canonical: own for canonical, own in mapping.items() if own in named and canonical not in named}
    asked = [column for expectation in expectations for column in expectation.columns]
    return {name: named[name] for name in apart_by_case(named, asked)}


def _absent(expectation: CustomExpectation, there: set[str]) -> list[str]:
    return [column for column in expectation.columns if column not in there]


def _check(expectation: CustomExpectation, outcome: Outcome, source: str, day: date, row_count: int) -> ContractCheck:
    observed = shown(outcome.observed)
    checked_count = row_count if outcome.checked_count is None else outcome.checked_count
    # an expectation about all rows together is broken by all of them
    unexpected_count = row_count if outcome.unexpected_count is None else outcome.unexpected_count
    found = f"; observed: {observed}" if observed else ""
    message = f"{expectation.sentence} is broken in {unexpected_count:,} of {checked_count:,} rows{found}"
    return ContractCheck(
        dt=day,
        source=source,
        expectation=expectation.name,
        column_name=expectation.column,
        severity=expectation.severity,
        outcome="passed" if outcome.is_met else "failed",
        checked_count=checked_count,
        unexpected_count=0 if outcome.is_met and outcome.unexpected_count is None else unexpected_count,
        observed=observed,
        message="" if outcome.is_met else shown(message, 500),
    )
