"""Checks the stored rows against the records of the runs, against their keys, and against each other.

Not here: running days again (`driftlake.cli.upkeep`), and recording (`driftlake.lake.warehouse`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from driftlake.lake import schema
from driftlake.lake.queries import literal, quote
from driftlake.lake.schema import Table
from driftlake.lake.warehouse import Warehouse
from driftlake.vocabulary.wording import counted

# Queries of sql/verification that find inconsistent sums: dt, table_name, what.
_SUMS = ("feature_sums", "drift_windows", "quality_windows")


@dataclass(frozen=True, slots=True)
class Deviation:
    """Rows that violate a check, of one day; the day is None for a table without days."""

    dt: date | None
    table: str
    what: str

    @property
    def sentence(self) -> str:
        """The deviation as a sentence."""
        return f"{self.dt or 'no day'}: {self.table}: {self.what}"


def verify(warehouse: Warehouse) -> list[Deviation]:
    """Check everything that is stored, as of one snapshot; each kind of deviation is in the order of days."""
    with warehouse.one_snapshot():
        disagreeing = _disagreeing(warehouse, _recorded(warehouse, None), None)
        found = [Deviation(day, name, what) for day, wrong in disagreeing.items() for name, what in wrong.items()]
        for table in schema.tables():
            found += _repeated(warehouse, table)
        with warehouse.registered(newest_writes=warehouse.query("verification/newest_writes")):
            for query in _SUMS:
                rows = warehouse.query(f"verification/{query}").to_pylist()
                found += [Deviation(row["dt"], row["table_name"], row["what"]) for row in rows]
    return found


def disagreeing_days(warehouse: Warehouse, stage: str, days: Collection[date]) -> dict[date, str]:
    """The days on which a stage has another number of rows than its runs recorded, with a description of the difference."""
    if not days:
        return {}
    with warehouse.one_snapshot():
        recorded = {key: count for key, count in _recorded(warehouse, sorted(days)).items() if key[1] == stage}
        found = _disagreeing(warehouse, recorded, sorted(days))
    return {day: "; ".join(f"{name}: {what}" for name, what in wrong.items()) for day, wrong in found.items()}


def _recorded(warehouse: Warehouse, days: Sequence[date] | None) -> dict[tuple[date, str, str], int]:
    """Rows on record by day, stage and name of the table."""
    rows = warehouse.query("verification/recorded_rows", days=days).to_pylist()
    return {(row["dt"], row["stage"], row["name"]): row["row_count"] for row in rows}


def _disagreeing(
    warehouse: Warehouse, recorded: Mapping[tuple[date, str, str], int], days: Sequence[date] | None
) -> dict[date, dict[str, str]]:
    """The actual number of rows where it differs from the recorded one, by day and name of the table."""
    # a table of an earlier version may be gone
    tables = {table.name for table in schema.tables()}
    recorded = {key: count for key, count in recorded.items() if key[2].partition("/")[0] in tables}
    if not recorded:
        return {}
    names = sorted({name for _, _, name in recorded})
    span = [days[0], days[-1]] if days else [date.min, date.max]
    stored = {
        (dt, name): count
        for dt, name, count in warehouse.connection.execute(
            " union all ".join(map(_count_statement, names)), {"first_day": span[0], "last_day": span[1]}
        ).fetchall()
    }
    wrong: dict[date, dict[str, str]] = {}
    for (day, _, name), count in sorted(recorded.items()):
        there = stored.pop((day, name), 0)
        if there != count:
            wrong.setdefault(day, {})[name] = f"{counted(there, 'row')}, {count:,} recorded"
    stages = {name: stage for _, stage, name in recorded}
    with_record = {(day, stage) for day, stage, _ in recorded}
    for (day, name), there in sorted(stored.items()):
        # runs of earlier versions recorded nothing
        if (day, stages[name]) in with_record:
            wrong.setdefault(day, {})[name] = f"{counted(there, 'row')}, none recorded"
    return wrong


def _count_statement(name: str) -> str:
    """Rows by day of a table as partition_runs.stored_rows names it: table, or table/source."""
    table, _, source = name.partition("/")
    condition = f" and source = {literal(source)}" if source else ""
    return (
        f"select dt, {literal(name)} as name, count(*) as row_count from {quote(table)}"
        f" where dt between $first_day::date and $last_day::date{condition} group by dt"
    )


def _repeated(warehouse: Warehouse, table: Table) -> Iterator[Deviation]:
    """Keys of a table that more than one row has."""
    key = ", ".join(map(quote, table.key))
    day = "dt" if "dt" in table.key else "null::date"
    rows = warehouse.sql(
        f"select {day} as day, count(*) as key_count from (select {key} from {quote(table.name)} group by {key} having count(*) > 1)"
        " group by day order by day"
    ).to_pylist()
    for row in rows:
        yield Deviation(
            row["day"], table.name, f"{counted(row['key_count'], 'key')} ({', '.join(table.key)}) more than once"
        )
