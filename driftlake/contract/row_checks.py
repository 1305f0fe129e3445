"""Contract checks of the rows of a day, in one scan inside DuckDB.

Not here: the rules themselves (`expectations`), their Great Expectations suite (`driftlake.contract.gx_session`), storing outcomes (`driftlake.contract.records`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

import duckdb
import pyarrow as pa

from driftlake.contract import gx_session
from driftlake.contract.suite_files import CustomExpectation
from driftlake.errors import ConfigurationError, ContractError
from driftlake.inputs.columns import with_canonical_name
from driftlake.lake import queries
from driftlake.lake.queries import literal, quote
from driftlake.lake.session import create_table
from driftlake.privacy.personal_data import mask

Severity = Literal["error", "warning"]

_OBSERVED_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule about single rows. Rows that break it are quarantined (severity error), or counted and reported (warning).

    `condition` is true for a row that breaks it. The observed value of such rows is the aggregate `observed`, or the
    three most frequent values of `value`. `message` may use {column}, {unexpected}, {checked} and {observed}.
    """

    name: str
    column: str
    severity: Severity
    condition: str
    message: str
    observed: str = "''"
    value: str | None = None


@dataclass(frozen=True, slots=True)
class DayRule:
    """A rule about all rows of a day. A day that breaks it is refused if its severity is error.

    `query` reads {batch} and returns dt, unexpected_count and observed for each day that breaks the rule.
    """

    name: str
    column: str
    severity: Severity
    query: str
    message: str


@dataclass(frozen=True, slots=True)
class MeasuredRule:
    """A rule that is checked from the counts of a day, e.g. repeated predictions; it only warns."""

    name: str
    column: str | None
    message: str
    severity: Severity = "warning"


Rule = RowRule | DayRule | MeasuredRule


@dataclass(frozen=True, slots=True)
class ContractCheck:
    """Outcome of one expectation on one day; `message` is a sentence, empty if passed."""

    dt: date
    source: str
    expectation: str
    column_name: str | None
    severity: Severity
    outcome: Literal["passed", "failed"]
    checked_count: int
    unexpected_count: int
    observed: str
    message: str
    model_id: str | None = None
    model_version: str | None = None
    # True for a row rule, which is broken by rows and not by the day
    is_of_rows: bool = False

    @property
    def is_broken(self) -> bool:
        """Whether it failed and data is left out for it."""
        return self.outcome == "failed" and self.severity == "error"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The counts of a day for a measured rule: the checked and the broken number, and the observed value."""

    dt: date
    checked_count: int
    unexpected_count: int
    observed: str = ""


@dataclass(frozen=True, slots=True)
class QuarantinedRows:
    """Rows of a file that are quarantined because they break a rule; a row that breaks several rules is listed once."""

    dt: date
    file_id: int
    expectation: str
    row_count: int


@dataclass(frozen=True, slots=True)
class Contract:
    """The rules in force for `relation`, the view that sql/contract/<relation>.sql makes of the relation `checked_from`."""

    source: str
    relation: str
    checked_from: str
    rules: Sequence[Rule]
    # from the user's suite files; `driftlake.contract.custom_suites` checks them
    suites: Sequence[CustomExpectation] = ()
    # names of columns in the files, where they differ from the canonical names
    source_names: Mapping[str, str] = field(default_factory=dict)

    def create_view(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create `relation` as a view of `checked_from`."""
        queries.run(connection, f"contract/{self.relation}")

    def check(self, connection: duckdb.DuckDBPyConnection, days: Sequence[date]) -> list[ContractCheck]:
        """Check the rows of each day: an outcome per rule and day that has rows, in the order of the rules.

        Raises ContractError if a rule cannot be evaluated, because an unchecked rule must not count as passed.
        """
        checked_counts, findings = self._find(connection, days)
        if not checked_counts:
            return []
        judged = [rule for rule in self.rules if not isinstance(rule, MeasuredRule)]
        create_table(connection, gx_session.FINDINGS, _findings_table(judged, checked_counts, findings))
        gx_session.validate(
            connection, [(rule.name, rule.column, rule.severity) for rule in judged], source=self.source
        )
        return [
            self._outcome(rule, day, checked_count, findings.get((day, rule.name)))
            for day, checked_count in checked_counts.items()
            for rule in judged
        ]

    def quarantine_rows(self, connection: duckdb.DuckDBPyConnection, table: str) -> list[QuarantinedRows]:
        """Create a table with the positions (file_id, file_row_number) of rows that break a row rule of severity error."""
        cases = " ".join(f"when {rule.condition} then {literal(rule.name)}" for rule in self.quarantining_rules)
        connection.execute(
            f"create or replace table {quote(table)} as"
            " select dt, file_id, file_row_number, expectation from ("
            f"select dt, file_id, file_row_number, case {cases or 'when false then null'} end as expectation"
            f" from {quote(self.relation)}) where expectation is not null"
        )
        rows = connection.execute(
            f"select dt, file_id, expectation, count(*) from {quote(table)} group by all order by all"
        ).fetchall()
        return [QuarantinedRows(*row) for row in rows]

    def measured(
        self, name: str, found: Measurement, *, column: str | None = None, owner: tuple[str, str] | None = None
    ) -> list[ContractCheck]:
        """Outcome of a measured rule; empty if the rule is switched off."""
        broken = (found.unexpected_count, found.observed) if found.unexpected_count else None
        model_id, model_version = owner or (None, None)
        rules = [rule for rule in self.rules if isinstance(rule, MeasuredRule) and rule.name == name]
        if column:
            rules = [replace(rule, column=column) for rule in rules]
        return [
            self._outcome(rule, found.dt, found.checked_count, broken, model_id=model_id, model_version=model_version)
            for rule in rules
        ]

    @property
    def quarantining_rules(self) -> list[RowRule]:
        """The rules that send the rows that break them to quarantine."""
        return [rule for rule in self.rules if isinstance(rule, RowRule) and rule.severity == "error"]

    def _find(self, connection: duckdb.DuckDBPyConnection, days: Sequence[date]) -> tuple[dict[date, int], _Findings]:
        """Numbers of rows of each day, and the broken rules by day."""
        row_rules = [rule for rule in self.rules if isinstance(rule, RowRule)]
        try:
            rows = connection.execute(counting_query(self.relation, row_rules)).fetchall()
        except duckdb.Error as error:
            raise _not_evaluated(self._failing_rule(connection, row_rules), error) from error
        counts = {row[0]: row[1:] for row in rows if row[0] in set(days)}
        found: _Findings = {}
        for number, rule in enumerate(row_rules, start=1):
            if any(of_day[number] for of_day in counts.values()):
                found |= self._findings_of(connection, rule.name, _detail_query(rule))
        for day_rule in self.rules:
            if isinstance(day_rule, DayRule):
                found |= self._findings_of(connection, day_rule.name, day_rule.query)
        return {day: counts[day][0] for day in days if day in counts}, found

    def _findings_of(self, connection: duckdb.DuckDBPyConnection, name: str, query: str) -> _Findings:
        try:
            rows = connection.execute(
                "select dt, unexpected_count, coalesce(observed, '')"
                f" from ({query.replace('{batch}', quote(self.relation))})"
            ).fetchall()
        except duckdb.Error as error:
            raise _not_evaluated(name, error) from error
        return {(day, name): (unexpected_count, observed) for day, unexpected_count, observed in rows}

    def _failing_rule(self, connection: duckdb.DuckDBPyConnection, rules: Sequence[RowRule]) -> str:
        for rule in rules:
            try:
                connection.execute(f"select 1 from {quote(self.relation)} where {rule.condition} limit 1")
            except duckdb.Error:
                return rule.name
        return "of several rules together"

    def _shown_name(self, column: str | None) -> str | None:
        """The name of a column in messages: its name in the files, with the canonical name."""
        own = self.source_names.get(column or "", column)
        return column if own == column else with_canonical_name(own or "", column or "")

    def _outcome(
        self, rule: Rule, day: date, checked_count: int, found: tuple[int, str] | None, **owner: str | None
    ) -> ContractCheck:
        unexpected_count, observed = found or (0, "")
        observed = shown(observed)
        sentence = rule.message.format(
            column=self._shown_name(rule.column),
            unexpected=f"{unexpected_count:,}",
            checked=f"{checked_count:,}",
            observed=observed,
        )
        return ContractCheck(
            dt=day,
            source=self.source,
            expectation=rule.name,
            column_name=rule.column,
            severity=rule.severity,
            outcome="failed" if found else "passed",
            checked_count=checked_count,
            unexpected_count=unexpected_count,
            observed=observed,
            message=sentence if found else "",
            is_of_rows=isinstance(rule, RowRule),
            **owner,
        )


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contract of each input; an input without a contract is not checked."""

    telemetry: Contract
    labels: Contract
    training: Contract


# by day and rule: the number of rows that break it, and the observed value
_Findings = dict[tuple[date, str], tuple[int, str]]


def in_force(rules: Sequence[Rule], severities: Mapping[str, Severity | Literal["off"]]) -> list[Rule]:
    """The rules with their configured severities, without those that are switched off.

    Raises ConfigurationError if a measured rule is configured as an error, because its rows have already been counted.
    """
    wrong = [r.name for r in rules if isinstance(r, MeasuredRule) and severities.get(r.name) == "error"]
    if wrong:
        raise ConfigurationError(
            f"contracts.severities: {', '.join(wrong)} cannot be an error: it is only known after the day has been "
            "counted",
            hint="choose warning or off, and add an alert rule on contract_checks.warning_share that becomes critical",
        )
    chosen = ((rule, severities.get(rule.name, rule.severity)) for rule in rules)
    return [replace(rule, severity=severity) for rule, severity in chosen if severity != "off"]


def blocked_days(checks: Sequence[ContractCheck]) -> dict[date, str]:
    """Days that must not be counted because they broke the contract, with the reason; quarantined rows do not block a day."""
    broken = [check for check in checks if check.is_broken and not check.is_of_rows]
    return {day: "; ".join(c.message for c in broken if c.dt == day) for day in dict.fromkeys(c.dt for c in broken)}


def shown(text: str, length: int = _OBSERVED_CHARACTERS) -> str:
    """An observed value for display: short, and with personal data masked."""
    return mask(text)[:length]


def repeated_rows(*key: str) -> str:
    """Query that counts each day's repetitions: the rows beyond the first of a key whose first column is not null."""
    # 64-bit hashes keep the set of keys small; with ten million rows a day, two keys collide once in 400,000 days.
    columns = ", ".join(quote(column) for column in key)
    return f"""
        select
            dt,
            row_count - key_count as unexpected_count,
            row_count || ' rows, ' || key_count || ' distinct' as observed
        from (
            select dt, count(*) as row_count, count(distinct hash({columns})) as key_count
            from {{batch}}
            where {quote(key[0])} is not null
            group by dt
        )
        where row_count > key_count
    """


def counting_query(relation: str, rules: Sequence[RowRule]) -> str:
    """The query of the scan: rows of each day, and how many break each rule."""
    broken = "".join(f", count_if({rule.condition}) as {quote(rule.name)}" for rule in rules)
    return f"select dt, count(*) as checked_count{broken} from {quote(relation)} group by dt"


def _detail_query(rule: RowRule) -> str:
    """Query for the rows that break a rule, run only for broken rules."""
    if rule.value is None:
        return (
            f"select dt, count(*) as unexpected_count, {rule.observed} as observed"
            f" from {{batch}} where {rule.condition} group by dt"
        )
    return (
        "select dt, sum(row_count)::bigint as unexpected_count,"
        " array_to_string(list(value order by row_count desc, value)[1:3], ', ') as observed"
        f" from (select dt, {rule.value} as value, count(*) as row_count"
        f" from {{batch}} where {rule.condition} group by all) group by dt"
    )


def _findings_table(rules: Sequence[Rule], checked_counts: Mapping[date, int], findings: _Findings) -> pa.Table:
    rows = [
        {
            "dt": day,
            "expectation": rule.name,
            "checked_count": checked_count,
            "unexpected_count": findings.get((day, rule.name), (0, ""))[0],
        }
        for day, checked_count in checked_counts.items()
        for rule in rules
    ]
    return pa.Table.from_pylist(rows, schema=_FINDINGS_SCHEMA)


def _not_evaluated(name: str, error: duckdb.Error) -> ContractError:
    return ContractError(
        f"expectation {name} could not be evaluated: {mask(str(error))}",
        hint=f"correct the condition of {name} in expectations/, or the columns it reads",
    )


_FINDINGS_SCHEMA = pa.schema(
    [("dt", pa.date32()), ("expectation", pa.string()), ("checked_count", pa.int64()), ("unexpected_count", pa.int64())]
)
