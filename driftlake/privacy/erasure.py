"""Finds and erases what the tables store about a prediction or a person: rows are deleted, or the id is taken out of them.

The name of a column decides whether it is searched, so a new table needs no change here. Not here: earlier snapshots
(`driftlake.lake.maintenance`), pages of reports (`driftlake.report.page_files`), and input files, which driftlake never changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from driftlake.config import Settings
from driftlake.errors import ConfigurationError
from driftlake.lake import schema
from driftlake.lake.queries import quote
from driftlake.lake.schema import Column, Table, arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.privacy.pseudonyms import Pseudonyms, pseudonyms_of
from driftlake.vocabulary.wording import counted

Subject: TypeAlias = Literal["correlation_id", "user_key"]

ERASED = "(erased)"
# A shorter id is found in sentences by chance, like a number of rows.
SHORTEST_IN_TEXT = 6


class Holds(Enum):
    """How a column can hold an id."""

    value = "the whole value"
    segment = "column=value"
    text = "inside a sentence"
    ids = "one of several ids"
    hash = "its hash"


# By name of the column; docs/personal-data.md has the table for people.
COLUMNS: Mapping[str, Holds] = {
    "value": Holds.value,
    "category": Holds.value,
    "label": Holds.value,
    "label_a": Holds.value,
    "label_b": Holds.value,
    "error_kind": Holds.value,
    "segment": Holds.segment,
    "evidence": Holds.text,
    "error": Holds.text,
    "message": Holds.text,
    "observed": Holds.text,
    "reason": Holds.text,
    "sentence": Holds.text,
    "title": Holds.text,
    "sample_ids": Holds.ids,
    "row_hash": Holds.hash,
}
# Hashes in other tables are of row numbers.
_HASHED = "prediction_sample"
_SEARCHED: Mapping[Subject, frozenset[Holds]] = {
    "correlation_id": frozenset({Holds.text, Holds.ids, Holds.hash}),
    "user_key": frozenset({Holds.text, Holds.value, Holds.segment}),
}
_PSEUDONYM = re.compile(r"[0-9a-f]{64}")
# The table that can count any column of telemetry, including correlation ids.
_ANY_COLUMN = "heavy_hitters"


@dataclass(frozen=True, slots=True)
class Identity:
    """An id and the forms in which it can be stored: itself and its pseudonyms by the keys that can be read."""

    subject: Subject
    forms: Sequence[str]
    subject_hash: str
    key_id: str | None
    # sentences about keys that cannot be read
    unread_keys: Sequence[str]

    @property
    def values(self) -> dict[str, Any]:
        """Parameters of the conditions below."""
        return {"forms": list(self.forms), "pattern": self._pattern}

    @property
    def is_searched_in_text(self) -> bool:
        """Whether the id is long enough to be searched in sentences."""
        return min(map(len, self.forms)) >= SHORTEST_IN_TEXT

    @property
    def _pattern(self) -> str:
        names = "|".join(re.escape(form) for form in self.forms if len(form) >= SHORTEST_IN_TEXT)
        # without a name, a pattern that matches no text
        return f"(^|[^0-9A-Za-z_-])(?:{names})($|[^0-9A-Za-z_-])" if names else "[^\\s\\S]"


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a table that hold the id: those that are deleted, and those from which it is taken out."""

    table: str
    deleted_count: int
    changed_count: int
    columns: Sequence[str]
    # remaining rows of each day on which rows are deleted
    left: Mapping[date, int]

    @property
    def row_count(self) -> int:
        """Rows that are deleted or changed."""
        return self.deleted_count + self.changed_count


def identity_of(settings: Settings, subject: Subject, identifier: str) -> Identity:
    """The forms of an id. Raises ConfigurationError if it is empty."""
    if not identifier.strip():
        raise ConfigurationError("the id is empty", hint="give the id as it is in telemetry")
    is_raw = subject == "user_key" and not _PSEUDONYM.fullmatch(identifier)
    found = pseudonyms_of(settings, identifier) if is_raw else Pseudonyms({}, ())
    key_id, hashed = next(iter(found.by_key.items()), (None, identifier))
    forms = list(dict.fromkeys([identifier, *found.by_key.values()]))
    return Identity(subject, forms, hashlib.sha256(hashed.encode()).hexdigest(), key_id, found.unread)


def find(warehouse: Warehouse, identity: Identity) -> list[Found]:
    """The rows of every table that hold the id."""
    return [found for table in schema.tables() if (found := _find_in(warehouse, table, identity))]


def erase(warehouse: Warehouse, identity: Identity, *, erased_by: str, page_count: int, is_purged: bool) -> list[Found]:
    """Delete and change the rows in one transaction, and record it in erasures and partition_runs. Returns what was found."""
    now = warehouse.time_of_next("erasures", "erased_at", datetime.now(UTC))
    run_id = f"erase {now:%Y-%m-%dT%H:%M:%S.%f}"

    def work() -> list[Found]:
        found = find(warehouse, identity)
        for each in found:
            _erase_from(warehouse, each.table, identity)
        _record_rows_left(warehouse, found, run_id=run_id, committed_at=now)
        row = {
            "erased_at": now,
            "erased_by": erased_by,
            "subject": identity.subject,
            "subject_hash": identity.subject_hash,
            "key_id": identity.key_id,
            "row_counts": [(each.table, each.row_count) for each in found],
            "page_count": page_count,
            "is_purged": is_purged,
        }
        warehouse.insert("erasures", pa.Table.from_pylist([row], schema=arrow_schema("erasures")))
        return found

    found = warehouse.write(work)
    warehouse.write(lambda: warehouse.query("erasure/widen_statistics", **identity.values))
    return found


def erasure_lines(found: Sequence[Found], page_count: int) -> Iterator[str]:
    """A line for each table, and one for the pages, that is printed for people."""
    for each in found:
        counts = ((each.deleted_count, "deleted"), (each.changed_count, "changed"))
        rows = ", ".join(f"{counted(count, 'row')} {verb}" for count, verb in counts if count)
        yield f"{each.table:<24} {rows} ({', '.join(each.columns)})"
    yield f"{'reports':<24} {counted(page_count, 'page')} removed"
    if not found:
        yield f"{'tables':<24} nothing is stored"


def remaining_lines(settings: Settings, identity: Identity, *, is_purged: bool) -> Iterator[str]:
    """Sentences about what the command does not search or change."""
    yield from (f"{reason}; pseudonyms by this key were not searched" for reason in identity.unread_keys)
    if not identity.is_searched_in_text:
        yield f"ids of fewer than {SHORTEST_IN_TEXT} characters are not searched in messages"
    days, grace = settings.warehouse.snapshot_retention_days, settings.warehouse.file_grace_days
    if not is_purged:
        until = (
            f"until they are {days} days old (warehouse.snapshot_retention_days), and their files for at least {grace} days more"
            if days
            else "for ever (warehouse.snapshot_retention_days: null)"
        )
        yield (
            f"snapshots from before the erasure keep the rows {until}; the same command with --purge removes all earlier"
            " snapshots and their files immediately"
        )
    yield "backups keep the rows: make a new one in a new folder and delete the older ones"
    yield (
        "input files and Dagster's history of runs are not searched: remove the id from telemetry and labels, too, or"
        " the next run that reads these files stores it again"
    )


def searched_columns(table: Table) -> Iterator[tuple[Column, Holds]]:
    """The columns of a table that can hold an id."""
    for column in table.columns:
        holds = COLUMNS.get(column.name)
        is_hash = holds is Holds.hash
        if holds and (table.name == _HASHED if is_hash else column.type.startswith("varchar")):
            yield column, holds


def _searched(table: Table, identity: Identity) -> list[tuple[Column, Holds]]:
    kinds = _SEARCHED[identity.subject]
    return [
        (column, holds)
        for column, holds in searched_columns(table)
        if holds in kinds or (table.name == _ANY_COLUMN and holds is Holds.value)
    ]


def _is_deleted(table: Table, column: Column, holds: Holds) -> bool:
    """Whether a row with the id is deleted: without it, the row would be about nothing, or have the key of another one."""
    return holds is Holds.hash or column.name in table.key


def _find_in(warehouse: Warehouse, table: Table, identity: Identity) -> Found | None:
    searched = _searched(table, identity)
    if not searched:
        return None
    deleting, changing = _conditions(table, searched)
    day = "dt" if "dt" in table.key else "null::date"
    flags = ", ".join(f"coalesce(bool_or({_condition(*each)}), false)" for each in searched)
    rows = _execute(
        warehouse,
        f"select {day}, count(*), count(*) filter (where {deleting}), count(*) filter (where {changing} and not {deleting}),"
        f" [{flags}] from {quote(table.name)} group by all having count(*) filter (where {deleting} or {changing}) > 0",
        identity,
    )
    if not rows:
        return None
    columns = [column.name for number, (column, _) in enumerate(searched) if any(row[4][number] for row in rows)]
    left = {dt: count - deleted for dt, count, deleted, *_ in rows if dt and deleted}
    return Found(table.name, sum(row[2] for row in rows), sum(row[3] for row in rows), columns, left)


def _erase_from(warehouse: Warehouse, name: str, identity: Identity) -> None:
    """Write the files that hold the id again without it, because a file keeps a deleted row; then go on with rows in the catalog."""
    [table] = [table for table in schema.tables() if table.name == name]
    searched = _searched(table, identity)
    deleting, changing = _conditions(table, searched)
    changed = [each for each in searched if not _is_deleted(table, *each)]
    _rewrite_files(warehouse, table, identity, deleting, changing, changed)
    _execute(warehouse, f"delete from {quote(name)} where {deleting}", identity)
    for column, holds in changed:
        assigned = f"{quote(column.name)} = {_erased(column, holds)}"
        _execute(warehouse, f"update {quote(name)} set {assigned} where {_condition(column, holds)}", identity)


def _rewrite_files(
    warehouse: Warehouse,
    table: Table,
    identity: Identity,
    deleting: str,
    changing: str,
    changed: Sequence[tuple[Column, Holds]],
) -> None:
    name = quote(table.name)
    rows = _execute(
        warehouse,
        f"select distinct parse_filename(filename) from {name} where filename is not null and ({deleting} or {changing})",
        identity,
    )
    if not rows:
        return
    is_old = "list_contains($names, parse_filename(filename))"
    erased = ", ".join(f"{_erased(*each)} as {quote(each[0].name)}" for each in changed)
    values = f"* replace ({erased})" if changed else "*"
    kept = f"select {values} from {name} where {is_old} and not {deleting} order by {', '.join(map(quote, table.key))}"
    names = [file_name for (file_name,) in rows]
    _execute(warehouse, f"insert into {name} by name {kept}", identity, names=names)
    _execute(warehouse, f"delete from {name} where {is_old}", identity, names=names)


def _execute(warehouse: Warehouse, statement: str, identity: Identity, **more: Any) -> list[Any]:
    """The rows of a statement, with the values of the parameters that it has."""
    values = {name: value for name, value in (identity.values | more).items() if f"${name}" in statement}
    return warehouse.connection.execute(statement, values).fetchall()


def _record_rows_left(warehouse: Warehouse, found: Sequence[Found], *, run_id: str, committed_at: datetime) -> None:
    """Record the erasure as the current run of its days. Otherwise the next run would miss the rows and compute the days again."""
    left = [{"dt": dt, "name": each.table, "row_count": count} for each in found for dt, count in each.left.items()]
    types = pa.schema([("dt", pa.date32()), ("name", pa.string()), ("row_count", pa.int64())])
    with warehouse.registered(rows_left=pa.Table.from_pylist(left, schema=types)):
        runs = warehouse.query("erasure/recorded_runs", run_id=run_id, committed_at=committed_at)
    warehouse.insert("partition_runs", runs)


def _conditions(table: Table, searched: Sequence[tuple[Column, Holds]]) -> tuple[str, str]:
    """SQL that is true for a row that is deleted, and for one that is changed."""
    deleted = [each for each in searched if _is_deleted(table, *each)]
    return _any_of(deleted), _any_of(each for each in searched if each not in deleted)


def _any_of(searched: Iterable[tuple[Column, Holds]]) -> str:
    return f"({' or '.join(f'coalesce({_condition(*each)}, false)' for each in searched) or 'false'})"


def _condition(column: Column, holds: Holds) -> str:
    """SQL that is true for a row that holds the id."""
    name = quote(column.name)
    if holds is Holds.value:
        return f"list_contains($forms, {name})"
    if holds is Holds.segment:
        return f"list_contains($forms, substr({name}, strpos({name}, '=') + 1))"
    if holds is Holds.ids:
        return f"list_has_any({name}, $forms)"
    if holds is Holds.hash:
        return f"list_contains(list_transform($forms, lambda form: md5_number_lower(form)), {name})"
    text = f"array_to_string({name}, chr(10))" if column.type.endswith("[]") else name
    return f"regexp_matches({text}, $pattern)"


def _erased(column: Column, holds: Holds) -> str:
    """SQL of the value of the column without the id."""
    name = quote(column.name)
    if holds is Holds.ids:
        return f"list_filter({name}, lambda id: not list_contains($forms, id))"
    if holds is not Holds.text:
        return f"'{ERASED}'"
    if column.type.endswith("[]"):
        return f"list_transform({name}, lambda line: {_without('line')})"
    return _without(name)


def _without(text: str) -> str:
    """SQL of a text without the id. It replaces twice, because two adjacent ids share the character between them."""
    once = f"regexp_replace({text}, $pattern, '\\1{ERASED}\\2', 'g')"
    return f"regexp_replace({once}, $pattern, '\\1{ERASED}\\2', 'g')"
