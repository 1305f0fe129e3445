"""A rule of a contract, the three shapes its query takes, and the suite that a list of rules becomes.

Not here: the rules themselves (telemetry.py, labels.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from driftlake.errors import ContractError

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation


@dataclass(frozen=True, slots=True)
class Rule:
    """A promise about the rows of a day.

    `query` reads {batch} and returns dt, unexpected_count and observed for each day that breaks the promise. `message`
    may use {column}, {unexpected}, {checked} and {observed}. An optional column that is absent has no rule.
    """

    name: str
    column: str
    severity: Literal["error", "warning"]
    query: str
    message: str
    is_optional: bool = False


def rows_where(condition: str, *, observed: str) -> str:
    """Query that counts each day's rows for which `condition` holds; `observed` aggregates them to a text."""
    return f"""
        select "dt", count(*) as unexpected_count, {observed} as observed
        from {{batch}}
        where {condition}
        group by "dt"
    """


def values_where(condition: str, *, value: str) -> str:
    """Query that counts each day's rows for which `condition` holds and observes their three commonest values."""
    # [1:3] and not [:3]: SQLAlchemy takes a colon before a word for a bound parameter.
    return f"""
        select
            "dt",
            sum(row_count)::bigint as unexpected_count,
            array_to_string(list("value" order by row_count desc, "value")[1:3], ', ') as observed
        from (
            select "dt", {value} as "value", count(*) as row_count
            from {{batch}}
            where {condition}
            group by all
        )
        group by "dt"
    """


def repeated_rows(*key: str) -> str:
    """Query that counts each day's surplus rows: those beyond the first of a key whose first column is not null."""
    # 64-bit hashes keep the set of keys narrow; among ten million rows two keys share one once in 400,000 days.
    columns = ", ".join(f'"{column}"' for column in key)
    return f"""
        select
            "dt",
            row_count - key_count as unexpected_count,
            row_count || ' rows, ' || key_count || ' distinct' as observed
        from (
            select "dt", count(*) as row_count, count(distinct hash({columns})) as key_count
            from {{batch}}
            where "{key[0]}" is not null
            group by "dt"
        )
        where row_count > key_count
    """


def suite_of(name: str, rules: Iterable[Rule], columns: Collection[str]) -> gx.ExpectationSuite:
    """The suite of those rules that apply to data with these columns.

    Raises ContractError if Great Expectations refuses a rule.
    """
    import great_expectations as gx

    applicable = [rule for rule in rules if rule.column in columns or not rule.is_optional]
    # The declared names travel with the suite: what Great Expectations drops is missed only if someone counts.
    meta = {"declared": [rule.name for rule in applicable]}
    return gx.ExpectationSuite(name, expectations=[_expectation(rule) for rule in applicable], meta=meta)


def _expectation(rule: Rule) -> UnexpectedRowsExpectation:
    from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation

    meta = {"name": rule.name, "column": rule.column, "severity": rule.severity, "message": rule.message}
    try:
        return UnexpectedRowsExpectation(unexpected_rows_query=rule.query, meta=meta)
    except ValueError as error:
        raise ContractError(f"Great Expectations refuses the rule {rule.name}: {error}") from error
