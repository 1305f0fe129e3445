"""Runs Great Expectations inside a DuckDB session: builds the suite for a contract's rules and validates it.

Great Expectations takes seconds to import, so it is imported only when something is validated. Not here: the scan
that finds the rows that break a rule (`driftlake.contract.row_checks`).
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any

import duckdb

from driftlake.contract.suite_files import CustomExpectation
from driftlake.errors import ConfigurationError, ContractError
from driftlake.lake.queries import literal
from driftlake.privacy.personal_data import mask

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.datasource.fluent.interfaces import Batch

# Table of the session with dt, expectation, checked_count and unexpected_count: the scan's counts, a row per day and rule.
FINDINGS = "contract_findings"


def validate(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[tuple[str, str | None, str]], *, source: str
) -> None:
    """Validate the table FINDINGS against the suite of `rules`, each a name, a column and a severity.

    Raises ContractError if Great Expectations dropped an expectation or could not evaluate it.
    """
    _validated(connection, rules, source, "BOOLEAN_ONLY")


def page(connection: duckdb.DuckDBPyConnection, rules: Sequence[tuple[str, str | None, str]], *, source: str) -> str:
    """The same as a page of Great Expectations' Data Docs. A browser gets its style sheets from the internet."""
    result = _validated(connection, rules, source, "SUMMARY")
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    renderer: Any = ValidationResultsPageRenderer(run_info_at_end=True)
    view: Any = DefaultJinjaPageView()
    html: str = view.render(renderer.render(result))
    return html


def _validated(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[tuple[str, str | None, str]], source: str, result_format: Any
) -> Any:
    _import_great_expectations()
    suite = _suite(source, rules)
    declared = [name for name, *_ in rules]
    _refuse_dropped(declared, [_name(expectation) for expectation in suite.expectations], source)
    # Great Expectations keeps its last context with its cursor. A closed cursor keeps no database open.
    with _open_cursor(connection) as cursor:
        validated = _batch(cursor, FINDINGS).validate(suite, result_format=result_format)
    for result in validated.results:
        if reason := _exception_message(result.exception_info):
            raise _not_evaluated(_name(result.expectation_config), reason)
    _refuse_dropped(declared, [_name(result.expectation_config) for result in validated.results], source)
    return validated


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of an expectation over some rows; counts are None if it is about all rows together."""

    is_met: bool
    checked_count: int | None = None
    unexpected_count: int | None = None
    observed: str = ""

    @classmethod
    def of_absent(cls, columns: Sequence[str], row_count: int) -> Outcome:
        """Result of an expectation about columns that do not exist."""
        return cls(False, row_count, row_count, f"no column {', '.join(columns)}")


def validate_rows(
    connection: duckdb.DuckDBPyConnection, relation: str, expectations: Sequence[CustomExpectation]
) -> list[Outcome]:
    """Check the rows of `relation` against the user's expectations: one outcome each, in their order.

    Raises ConfigurationError for arguments that an expectation does not have, ContractError if one cannot be evaluated.
    """
    _import_great_expectations()
    import great_expectations as gx

    built = [_custom_expectation(place, expectation) for place, expectation in enumerate(expectations)]
    with _open_cursor(connection) as cursor:
        suite = gx.ExpectationSuite("own", expectations=built)
        results = _batch(cursor, relation).validate(suite, result_format="SUMMARY").results
    found = {_place(result): result for result in results}
    return [_outcome(expectation, found.get(place)) for place, expectation in enumerate(expectations)]


def _place(result: Any) -> int:
    return int(result.expectation_config.meta["place"])


def _custom_expectation(place: int, expectation: CustomExpectation) -> Any:
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        return get_expectation_impl(expectation.type)(**expectation.kwargs, meta={"place": place})
    except (TypeError, ValueError) as error:
        reason = "; ".join(str(error).splitlines()[1:3]) or str(error)
        raise ConfigurationError(
            f"{expectation.file_name}: {expectation.name} cannot be built: {reason}",
            hint=f"correct its kwargs; the documentation of Great Expectations lists those of {expectation.type}",
        ) from error


def _outcome(expectation: CustomExpectation, result: Any) -> Outcome:
    name = f"{expectation.file_name}: {expectation.name}"
    if result is None:
        raise _not_evaluated(name, "Great Expectations dropped it")
    if reason := _exception_message(result.exception_info):
        raise _not_evaluated(name, reason)
    said = result.result
    if expectation.type == "unexpected_rows_expectation":
        # its "observed value" is the number of rows that its query finds
        return Outcome(bool(result.success), unexpected_count=int(said["observed_value"]))
    observed = said.get("partial_unexpected_list") or said.get("observed_value")
    if isinstance(observed, list):
        observed = ", ".join(sorted(set(map(str, observed)))[:3])
    return Outcome(
        bool(result.success),
        said.get("element_count"),
        said.get("unexpected_count"),
        "" if observed is None else str(observed),
    )


def _suite(source: str, rules: Iterable[tuple[str, str | None, str]]) -> gx.ExpectationSuite:
    import great_expectations as gx

    return gx.ExpectationSuite(source, expectations=[_expectation(*rule) for rule in rules])


def _expectation(name: str, column: str | None, severity: str) -> Any:
    from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation
    from great_expectations.expectations.metadata_types import FailureSeverity

    return UnexpectedRowsExpectation(
        unexpected_rows_query="select dt, checked_count, unexpected_count from {batch}"
        f" where expectation = {literal(name)} and unexpected_count > 0",
        description=name.replace("_", " "),
        severity=FailureSeverity.CRITICAL if severity == "error" else FailureSeverity.WARNING,
        meta={"name": name, "column": column},
    )


def _import_great_expectations() -> None:
    # 1.24 no longer reports usage, but earlier releases did; if it returns, it stays switched off.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    collects = gc.isenabled()
    # The import creates objects that stay; garbage collection of them would take a sixth of the time.
    gc.disable()
    try:
        with _without_spark(), _imported_on_use("altair", "scipy.stats"), warnings.catch_warnings():
            # It uses a deprecated module of the standard library.
            warnings.simplefilter("ignore")
            import great_expectations  # noqa: F401
    finally:
        if collects:
            gc.enable()


@contextmanager
def _without_spark() -> Iterator[None]:
    """Keep Great Expectations from loading Spark, which is not used here.

    Without gRPC, Spark ends a process whose program is not a file (`python -c`), because it takes the process for one of its own tests.
    """
    loaded = sys.modules.get("pyspark")
    sys.modules["pyspark"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["pyspark"]
        if loaded is not None:
            sys.modules["pyspark"] = loaded


@contextmanager
def _imported_on_use(*names: str) -> Iterator[None]:
    """Let Great Expectations import these modules when it uses them: a third of its import, for expectations that few have."""

    class Finder(MetaPathFinder):
        def find_spec(
            self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
        ) -> ModuleSpec | None:
            spec = PathFinder.find_spec(fullname, path, target) if fullname in names else None
            if spec and spec.loader:
                spec.loader = LazyLoader(spec.loader)
            return spec

    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


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
    sources: Any = context.data_sources  # its stub lacks the keyword arguments for SQLAlchemy
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
    # A cursor uses the machine's time zone, not its parent's; observed values must be the same everywhere.
    cursor.execute("set TimeZone = 'UTC'")
    return cursor


def _buffer_rows(_conn: Any, cursor: Any, _statement: Any, _parameters: Any, context: Any, _executemany: Any) -> None:
    """Fetch all rows as soon as a statement has run.

    Great Expectations reads a result after it has returned the connection (its issue 11579). Most drivers have
    fetched the rows by then. DuckDB's result is closed, and every metric fails (with an IndexError or "No open result
    set").
    """
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

    if cursor.description:
        context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=cursor.fetchall())


def _exception_message(exception_info: Mapping[str, Any]) -> str | None:
    # Either one record, or one for each metric that the expectation needs.
    records = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    return next((str(record["exception_message"]) for record in records if record["raised_exception"]), None)


def _not_evaluated(name: str, reason: str) -> ContractError:
    # SQLAlchemy appends the statement, and DuckDB quotes the value that it cannot convert.
    return ContractError(
        f"expectation {name} could not be evaluated: {mask(reason.partition('[SQL:')[0].strip())}",
        hint=f"correct {name} in expectations/, or the columns it reads",
    )


def _refuse_dropped(declared: Collection[str], present: Collection[str], source: str) -> None:
    if sorted(declared) != sorted(present):
        raise ContractError(
            f"the {source} contract declares {_listed(declared)}; Great Expectations loaded {_listed(present)}",
            hint="give every rule a different name; Great Expectations logs why it dropped an expectation",
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _name(expectation: Any) -> str:
    return str((expectation.meta or {}).get("name", "an expectation without name"))
