"""Contract checks: a Great Expectations suite, run inside DuckDB over many days at once.

Great Expectations takes seconds to import, so it is imported when something is validated and not before. Not here: the
rules of the contracts (expectations/) and storing their outcomes.
"""

from __future__ import annotations

import gc
import logging
import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from driftlake.errors import ContractError
from driftlake.personal_data import mask
from driftlake.queries import quote

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.datasource.fluent.interfaces import Batch

# Rows as they are counted: how many break an expectation on a day, and what was observed in them.
_Unexpected = tuple[int, str]

_OBSERVED_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class ContractCheck:
    """Outcome of one expectation on one day; `message` is a sentence, empty if passed."""

    dt: date
    source: str
    expectation: str
    column_name: str | None
    severity: Literal["error", "warning"]
    outcome: Literal["passed", "failed"]
    checked_count: int
    unexpected_count: int
    observed: str
    message: str


# Checks the days that a session has made visible; given from outside, because the suites are the user's.
ContractChecker = Callable[[duckdb.DuckDBPyConnection, Sequence[date]], list[ContractCheck]]


def blocked_days(checks: Sequence[ContractCheck]) -> dict[date, str]:
    """Days that broke a contract in a way that must not be counted, and how."""
    errors = [check for check in checks if check.outcome == "failed" and check.severity == "error"]
    return {day: "; ".join(c.message for c in errors if c.dt == day) for day in dict.fromkeys(c.dt for c in errors)}


def validate(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    suite_builder: Callable[[], gx.ExpectationSuite],
    *,
    source: str,
    days: Sequence[date],
) -> list[ContractCheck]:
    """Check each day's rows of `relation` against a suite: one outcome per day that has rows and expectation.

    `relation` is a committed table or view, not a temporary one, with a column dt. Every expectation of the suite is a
    query that returns dt, unexpected_count and observed per failing day, and has name, column, severity and message in
    its meta; the suite has their names under "declared" (expectations/rules.py builds such suites).

    Raises ContractError if an expectation was dropped or could not be evaluated.
    """
    checked_counts = _rows_per_day(connection, relation, days)
    if not checked_counts:
        return []
    _import_great_expectations()
    suite = suite_builder()
    declared: list[str] = suite.meta.get("declared", [])
    rules: dict[str, Any] = {_name(expectation): expectation.meta for expectation in suite.expectations}
    _refuse_dropped(declared, rules, source)
    # Great Expectations keeps its last context and what that reads through: a cursor, closed here, holds no database.
    with _open_cursor(connection) as cursor:
        broken_queries = _broken_queries(_batch(cursor, relation), suite)
        _refuse_dropped(declared, broken_queries, source)
        unexpected = {
            name: _failing_days(cursor, relation, name, query) if query else {}
            for name, query in broken_queries.items()
        }
    return [
        _check(day, source, rules[name], checked_count, unexpected[name].get(day))
        for day, checked_count in checked_counts.items()
        for name in declared
    ]


def _rows_per_day(connection: duckdb.DuckDBPyConnection, relation: str, days: Sequence[date]) -> dict[date, int]:
    rows = connection.execute(f'select "dt", count(*) from {quote(relation)} group by "dt"').fetchall()
    counts = dict(rows)
    return {day: counts[day] for day in days if day in counts}


def _import_great_expectations() -> None:
    # 1.24 reports no usage any more, earlier releases did: should it come back, the answer is given.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    collects = gc.isenabled()
    # The import only makes objects that stay; the collector would walk them again and again, a sixth of the time.
    gc.disable()
    try:
        with warnings.catch_warnings():
            # It uses a deprecated module of the standard library.
            warnings.simplefilter("ignore")
            import great_expectations  # noqa: F401
    finally:
        if collects:
            gc.enable()


def _batch(connection: duckdb.DuckDBPyConnection, relation: str) -> Batch:
    """`relation` as Great Expectations sees it, read through cursors of the caller's own connection."""
    import great_expectations as gx
    from duckdb_engine import ConnectionWrapper
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )
    from sqlalchemy import NullPool, event

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(), progress_bars=ProgressBarsConfig(globally=False)
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    # A URL cannot reach the caller's database: duckdb-engine connects with a user agent of its own, and DuckDB refuses
    # a second connection to a database in memory whose configuration differs.
    sources: Any = context.data_sources  # its stub knows nothing of the keyword arguments for SQLAlchemy
    datasource = sources.add_sql(
        "duckdb",
        connection_string="duckdb:///:memory:",
        kwargs={"creator": lambda: ConnectionWrapper(_open_cursor(connection)), "poolclass": NullPool},
    )
    event.listen(datasource.get_execution_engine().engine, "after_cursor_execute", _buffer_rows)
    asset = datasource.add_table_asset(relation, table_name=relation)
    batch: Batch = asset.add_batch_definition_whole_table("days").get_batch()
    return batch


def _open_cursor(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    cursor = connection.cursor()
    # A cursor takes the machine's time zone, not its parent's; what is observed must read the same everywhere.
    cursor.execute("set TimeZone = 'UTC'")
    return cursor


def _buffer_rows(_conn: Any, cursor: Any, _statement: Any, _parameters: Any, context: Any, _executemany: Any) -> None:
    """Fetch all rows as soon as a statement has run.

    Great Expectations reads a result after it gave the connection back (its issue 11579). Most drivers have fetched by
    then; DuckDB's result is gone, and every metric fails (with an IndexError or "No open result set").
    """
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

    if cursor.description:
        context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=cursor.fetchall())


def _broken_queries(batch: Batch, suite: gx.ExpectationSuite) -> dict[str, str | None]:
    """Each expectation that Great Expectations evaluated, with its query if some day breaks it."""
    queries: dict[str, str | None] = {}
    for result in batch.validate(suite, result_format="BOOLEAN_ONLY").results:
        expectation: Any = result.expectation_config
        name = _name(expectation)
        if reason := _exception_message(result.exception_info):
            raise _not_evaluated(name, reason)
        queries[name] = None if result.success else expectation.kwargs["unexpected_rows_query"]
    return queries


def _exception_message(exception_info: Mapping[str, Any]) -> str | None:
    # One record, or one for each metric that the expectation needs.
    records = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    return next((str(record["exception_message"]) for record in records if record["raised_exception"]), None)


def _failing_days(cursor: duckdb.DuckDBPyConnection, relation: str, name: str, query: str) -> dict[date, _Unexpected]:
    """Days that break an expectation. Great Expectations has asked for them too, but keeps 200 rows at most."""
    days = query.format(batch=quote(relation))
    try:
        rows = cursor.execute(f"select \"dt\", unexpected_count, coalesce(observed, '') from ({days})").fetchall()
    except duckdb.Error as error:
        raise _not_evaluated(name, str(error)) from error
    if not rows:
        raise _not_evaluated(name, "its query found failing days and, asked again, none")
    return {day: (unexpected_count, observed) for day, unexpected_count, observed in rows}


def _not_evaluated(name: str, reason: str) -> ContractError:
    # SQLAlchemy appends the statement, which is long and in expectations/ for everyone to read.
    return ContractError(
        f"expectation {name} could not be evaluated: {mask(reason.partition('[SQL:')[0].strip())}",
        hint=f"correct the query of {name} in expectations/, or the columns it reads",
    )


def _refuse_dropped(declared: Collection[str], present: Collection[str], source: str) -> None:
    if sorted(declared) != sorted(present):
        raise ContractError(
            f"the {source} contract declares {_listed(declared)}; Great Expectations took {_listed(present)}",
            hint="build the suite with expectations/rules.py, each name once; GX logs why it dropped an expectation",
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _name(expectation: Any) -> str:
    return str((expectation.meta or {}).get("name", "an expectation without name"))


def _check(
    day: date, source: str, rule: Mapping[str, Any], checked_count: int, unexpected: _Unexpected | None
) -> ContractCheck:
    unexpected_count, observed = unexpected or (0, "")
    check = ContractCheck(
        dt=day,
        source=source,
        expectation=rule["name"],
        column_name=rule["column"],
        severity=rule["severity"],
        outcome="failed" if unexpected else "passed",
        checked_count=checked_count,
        unexpected_count=unexpected_count,
        observed=mask(observed)[:_OBSERVED_CHARACTERS],
        message="",
    )
    return replace(check, message=_sentence(rule["message"], check)) if unexpected else check


def _sentence(template: str, check: ContractCheck) -> str:
    return template.format(
        column=check.column_name,
        unexpected=f"{check.unexpected_count:,}",
        checked=f"{check.checked_count:,}",
        observed=check.observed,
    )
