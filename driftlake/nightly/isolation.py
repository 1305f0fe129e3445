"""If a stage raises an exception, only the day, or the part of the day that caused it, is lost; the rest is written.

`Isolation` handles the exceptions of stages; `caught` handles those of work on a day after its stages.

A range of days that fails is halved down to single days. For a day that fails, the smallest set of model versions (or
statistics, or rules) without which it succeeds is left out; their rows of the day stay unchanged. If that does not
help, the day has failed and keeps all of its rows. In both cases no fingerprint is stored, so the next run tries again.
Exceptions that concern every day are raised at once.

Not here: what a stage computes, and what it refuses (`driftlake.nightly.profiles`, `driftlake.nightly.labels`,
`driftlake.nightly.derived`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import reduce
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.lake import queries, schema
from driftlake.lake.failures import is_of_every_day, sentence_of, trace_of
from driftlake.lake.warehouse import CATALOG, Addition, PartitionRun, Replacement, RunContext, Warehouse
from driftlake.nightly.stages import Stage
from driftlake.vocabulary import wording

PartKind = Literal["model version", "statistic", "objective", "rule"]

_VERSION_COLUMNS = ("model_id", "model_version")


@dataclass(frozen=True, slots=True)
class Part:
    """A part that can be left out of a day.

    `key` has the values in `columns` of the rows about it. Without columns, the stage itself handles these rows.
    """

    kind: PartKind
    key: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the `reason` of a day."""
        words = " ".join(self.key)
        return words if self.kind == "model version" else f"{self.kind} {words}"


def version_parts(keys: Iterable[tuple[str, str]]) -> list[Part]:
    """Model versions as parts."""
    return [Part("model version", key, _VERSION_COLUMNS) for key in keys]


def keys_of(parts: Iterable[Part], kind: PartKind) -> set[tuple[str, ...]]:
    """Keys of the parts of a kind."""
    return {part.key for part in parts if part.kind == kind}


@dataclass(frozen=True, slots=True)
class Computed:
    """The rows and records that a stage wants to write for some days."""

    changes: Sequence[Replacement | Addition]
    runs: Sequence[PartitionRun]

    @property
    def row_count(self) -> int:
        """Rows of the tables."""
        return sum(change.rows.num_rows for change in self.changes)


# Takes the days and the parts to leave out.
Compute = Callable[[Sequence[date], Collection[Part]], Computed]


@dataclass(frozen=True, slots=True)
class Failure:
    """A day that failed, in whole or in part: a sentence, and the traceback for debugging."""

    stage: str
    dt: date
    reason: str
    trace: str


@dataclass(slots=True)
class Outcome:
    """The outcome of the days of a stage."""

    runs: list[PartitionRun] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Raised:
    """An exception without its frames, which hold the tables of the attempt."""

    sentence: str
    trace: str
    # whether the rows were computed but could not be written
    was_writing: bool


@dataclass(slots=True)
class Isolation:
    """Runs the work of a stage and isolates its failures. `outcome` collects the outcomes of the days.

    `parts` returns the parts that can be left out; it is called only after a day has failed.
    """

    warehouse: Warehouse
    context: RunContext
    stage: Stage
    compute: Compute
    parts: Callable[[], Sequence[Part]]
    outcome: Outcome = field(default_factory=Outcome)
    # the parts left out of the last failed day are tried first on the next
    _failing_parts: tuple[Part, ...] = ()
    # whether a trial also inserts its rows into tables, because the day failed when they were written
    _is_rehearsed: bool = False
    # rows of the current day by the parts left out; None if it failed
    _trials: dict[frozenset[Part], int | None] = field(default_factory=dict)

    def work_on(
        self, days: Sequence[date], split: Callable[[Sequence[date]], list[Sequence[date]]] = lambda days: [days]
    ) -> None:
        """Compute and write some days, in the passes that `split` makes of them, or all at once if it fails."""
        try:
            with self.warehouse.one_snapshot():
                passes = split(days)
        except Exception as error:
            if self._concerns_every_day(error):
                raise
            passes = [days]
        for some in passes:
            self._work_on(some)

    def _work_on(self, days: Sequence[date]) -> None:
        raised = self._attempt(days)
        if raised is None:
            return
        if len(days) > 1:
            middle = len(days) // 2
            self._work_on(days[:middle])
            self._work_on(days[middle:])
            return
        (day,) = days
        left_out = self._failing_parts_of(day, raised)
        if left_out and self._attempt(days, left_out, reason=raised.sentence) is None:
            self._failing_parts = left_out
            reason = _left_out(left_out, raised.sentence)
        else:
            reason = raised.sentence
            run = PartitionRun(day, self.stage.name, "failed", 0, reason)
            self.warehouse.replace_partitions([], [run], context=self.context)
            self.outcome.runs.append(run)
        self.outcome.failures.append(Failure(self.stage.name, day, reason, raised.trace))

    def _attempt(self, days: Sequence[date], left_out: Sequence[Part] = (), *, reason: str = "") -> _Raised | None:
        """Compute and write days; returns what was raised, unless it concerns every day."""
        is_computed = False
        try:
            with self.warehouse.one_snapshot():
                computed = self.compute(days, left_out)
            is_computed = True
            if left_out:
                computed = self._with_kept_rows(computed, left_out, reason)
            self.warehouse.replace_partitions(computed.changes, computed.runs, context=self.context)
        except Exception as error:
            if self._concerns_every_day(error):
                raise
            return _Raised(sentence_of(error), trace_of(error), is_computed)
        self.outcome.runs += computed.runs
        return None

    def _failing_parts_of(self, day: date, raised: _Raised) -> tuple[Part, ...]:
        """The parts without which the day succeeds, of the kind that keeps most rows; none if nothing helps."""
        self._is_rehearsed, self._trials = raised.was_writing, {frozenset(): None}
        if self._failing_parts and self._rows_without(day, self._failing_parts) is not None:
            return self._failing_parts
        every = self.parts()
        found: dict[tuple[Part, ...], int] = {}
        for kind in dict.fromkeys(part.kind for part in every):
            suspects = tuple(part for part in every if part.kind == kind)
            if self._rows_without(day, suspects) is not None:
                failing_parts = self._narrowed(day, suspects, ())
                # a day without any version would be empty
                if kind != "model version" or len(failing_parts) < len(suspects):
                    found[failing_parts] = self._rows_without(day, failing_parts) or 0
        return max(found, key=found.__getitem__, default=())

    def _narrowed(self, day: date, suspects: tuple[Part, ...], others: tuple[Part, ...]) -> tuple[Part, ...]:
        """The smallest set of `suspects` without which, and without `others`, the day succeeds. It succeeds without all of them."""
        if self._rows_without(day, others) is not None:
            return ()
        if len(suspects) == 1:
            return suspects
        middle = len(suspects) // 2
        first, second = suspects[:middle], suspects[middle:]
        of_first = self._narrowed(day, first, others + second)
        return of_first + self._narrowed(day, second, others + of_first)

    def _rows_without(self, day: date, left_out: tuple[Part, ...]) -> int | None:
        """Rows of the day without some parts; None if it fails. Nothing is written."""
        key = frozenset(left_out)
        if key not in self._trials:
            self._trials[key] = self._try(day, left_out)
        return self._trials[key]

    def _try(self, day: date, left_out: tuple[Part, ...]) -> int | None:
        try:
            with self.warehouse.one_snapshot():
                computed = self.compute([day], left_out)
            if self._is_rehearsed:
                self._try_insert(computed)
        except Exception as error:
            if self._concerns_every_day(error):
                raise
            return None
        return computed.row_count

    def _try_insert(self, computed: Computed) -> None:
        """Insert the rows into temporary tables with the same constraints as the real ones."""
        for change in computed.changes:
            if isinstance(change, Replacement) and change.rows.num_rows:
                with self.warehouse.registered(rehearsed_rows=change.rows):
                    connection = self.warehouse.connection
                    connection.execute(f"create or replace temp table rehearsal ({schema.columns_ddl(change.table)})")
                    connection.execute("insert into temp.rehearsal by name select * from rehearsed_rows")
                    connection.execute("drop table temp.rehearsal")

    def _with_kept_rows(self, computed: Computed, left_out: Sequence[Part], reason: str) -> Computed:
        kept = (self._kept(change, left_out) for change in computed.changes)
        sentence = _left_out(left_out, reason)
        runs = [
            replace(
                run,
                outcome="partial" if run.outcome in {"complete", "empty"} else run.outcome,
                reason="; ".join(filter(None, [run.reason, sentence])),
                input_fingerprint=None,
            )
            for run in computed.runs
        ]
        return Computed([change for change in kept if change is not None], runs)

    def _kept(self, change: Replacement | Addition, left_out: Sequence[Part]) -> Replacement | Addition | None:
        """The change with the stored rows of the left-out parts; None if it replaces sums over left-out parts."""
        if not isinstance(change, Replacement) or change.table not in self.stage.tables:
            return change
        columns = {column.name for column in _table(change.table).columns}
        rows = change.rows
        for part in left_out:
            if columns.issuperset(part.columns) and part.columns:
                pairs = list(zip(part.columns, part.key, strict=True))
                is_about = reduce(pc.and_kleene, (pc.equal(rows[name], value) for name, value in pairs))
                condition = " and ".join(f"{queries.quote(name)} = ?" for name in part.columns)
                query = (
                    f"select * from {queries.quote(change.table)} where list_contains(?::date[], dt) and {condition}"
                )
                stored = self.warehouse.sql(query, [list(change.days), *part.key])
                others = rows.filter(pc.invert(pc.fill_null(is_about, fill_value=False)))
                rows = pa.concat_tables([others, stored], promote_options="permissive")
            elif part.kind == "model version":
                return None
        return replace(change, rows=rows)

    def _concerns_every_day(self, error: Exception) -> bool:
        """Whether every other day would fail as well: the cause is the warehouse, the storage, the disk or the configuration."""
        if is_of_every_day(error):
            return True
        try:
            self.warehouse.sql("select dt from partition_runs limit 1")
        except duckdb.Error:
            return True
        return False


@contextmanager
def caught(stage: str, day: date, failures: list[Failure]) -> Iterator[None]:
    """Turn an exception in the block into one of `failures`; for work on a day after its stages."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # it is reported, and the work after it still has to be done
        failures.append(Failure(stage, day, sentence_of(error), trace_of(error)))


@contextmanager
def without_versions(warehouse: Warehouse, keys: Collection[tuple[str, ...]]) -> Iterator[None]:
    """Hide the rows of some model versions from everything that reads the warehouse while the block runs."""
    if not keys:
        yield
        return
    listed = ", ".join(f"({', '.join(map(queries.literal, key))})" for key in sorted(keys))
    hidden = [
        queries.quote(table.name)
        for table in schema.tables()
        if {column.name for column in table.columns}.issuperset(_VERSION_COLUMNS)
    ]
    # one transaction for all of them: it reads the catalog once
    with warehouse.one_snapshot(), warehouse.without_copies():
        # a temporary view hides a table of the same name, also in views and macros
        for name in hidden:
            warehouse.connection.execute(
                f"create temp view {name} as select * from {CATALOG}.{name}"
                f" where not coalesce(({', '.join(_VERSION_COLUMNS)}) in ({listed}), false)"
            )
        yield
        # after an exception, the rollback removes them
        for name in hidden:
            warehouse.connection.execute(f"drop view temp.{name}")


def _table(name: str) -> schema.Table:
    return next(table for table in schema.tables() if table.name == name)


def _left_out(parts: Sequence[Part], reason: str) -> str:
    return wording.left_out([part.name for part in parts], reason)
