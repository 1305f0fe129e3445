"""Imports logs of a Feast feature service as days of telemetry, with the predictions that were made from them.

Each import writes the days of the files that it is given; nothing else is kept. Not here: which files can be used
(`feast_files`), and the SQL of their rows (`feast_rows`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from driftlake.config import Settings, compute_of
from driftlake.connect import feast_rows
from driftlake.connect.day_files import (
    CLOCK_TOLERANCE_SECONDS,
    Import,
    WrittenDay,
    count,
    locked,
    replace_day,
    spilling_session,
)
from driftlake.connect.feast_files import ParquetFiles, find_logs, find_predictions, load
from driftlake.connect.feast_mapping import STATUS, FeastMapping
from driftlake.errors import ConfigurationError, InputError
from driftlake.inputs.importable_files import LOGGED_AT
from driftlake.lake import queries
from driftlake.lake.queries import quote
from driftlake.lake.session import create_table
from driftlake.privacy.pseudonyms import pseudonym_columns
from driftlake.vocabulary.wording import counted, first_of

FILE_NAME = "feast.parquet"
# driftlake reads no folder whose name begins like this.
_FOLDER = "_feast"
_A_DAY = timedelta(days=1)
_WHY_LOST = (
    "the given files do not have them; the file stays as it is. Give all logs and predictions of the day, or remove the file "
    "to write it anew"
)


@dataclass(frozen=True, slots=True)
class Given:
    """What is imported: files and folders of logs and of predictions, and the first and last day that are wanted."""

    logs: Sequence[Path]
    predictions: Sequence[Path] = ()
    first_day: date = date.min
    last_day: date = date.max


def import_logs(
    given: Given, mapping: FeastMapping, target: Path, settings: Settings | None = None, *, now: datetime | None = None
) -> Import:
    """Write the days of telemetry in the files. A file that cannot be used is reported, and the others are imported.

    Raises InputError if no log has what the mapping names, ConfigurationError if pseudonyms cannot be made.
    """
    if mapping.user_key and (settings is None or settings.pseudonyms is None):
        raise ConfigurationError("user_key needs the section pseudonyms of driftlake.yaml", hint="give its keys")
    if bool(given.predictions) != (mapping.predictions is not None):
        raise ConfigurationError(
            "predictions are joined if the mapping has the section predictions and their files are given",
            hint="give files with --predictions, or remove the section from the mapping"
            if mapping.predictions
            else "add `predictions: {}` to the mapping, or leave --predictions out",
        )
    done = Import()
    latest = (now or datetime.now(UTC)).astimezone(UTC) + timedelta(seconds=CLOCK_TOLERANCE_SECONDS)
    with locked(target / _FOLDER), spilling_session(compute_of(settings)) as connection:
        run = _Run(connection, given, mapping, done, latest.replace(tzinfo=None))
        kept = run.load()
        if kept is not None:
            done.add([_write_day(run, target, kept, day, settings) for day in run.days()])
    return done


@dataclass(frozen=True, slots=True)
class _Run:
    connection: duckdb.DuckDBPyConnection
    given: Given
    mapping: FeastMapping
    done: Import
    latest: datetime

    def load(self) -> Sequence[str] | None:
        """Make the table matched.

        Returns the columns of the predictions that are written, None if there are no files to import.
        """
        joined = self.mapping.predictions
        logs = find_logs(self.given.logs, self.mapping)
        predictions = find_predictions(self.given.predictions, joined) if joined else ParquetFiles()
        self.done.problems += logs.problems + predictions.problems
        if not logs.paths or (joined and not predictions.paths):
            return None
        self._load_logs(logs)
        kept = self._load_predictions(predictions) if joined else []
        self.connection.execute(f"create temp table matched as {feast_rows.matched_rows(self.mapping, kept)}")
        if joined and (unused := self._unused()):
            self.done.remarks.append(f"{counted(unused, 'row')} of the logs without a prediction not written")
        return kept

    def days(self) -> list[date]:
        first, last = self.given.first_day, self.given.last_day
        found = self.connection.execute(
            "select distinct import_day from matched where import_day between ? and ? order by all", [first, last]
        ).fetchall()
        return [day for (day,) in found]

    def _load_logs(self, files: ParquetFiles) -> None:
        _require_mapped(self.mapping, files)
        load(
            self.connection,
            files,
            lambda reading: (
                "create or replace temp table logged as "
                + feast_rows.logged_rows(
                    reading + self._near(LOGGED_AT), self.mapping, _columns(self.connection, reading)
                )
            ),
        )
        self._report(files, "logged")
        queries.run(self.connection, "connect/feast_served", latest=self.latest)
        self.connection.execute("drop table logged")

    def _load_predictions(self, files: ParquetFiles) -> Sequence[str]:
        assert self.mapping.predictions
        kept = feast_rows.kept_columns(self.mapping, files.columns)
        lower = {name.lower() for name in kept}
        if taken := [name for name in self.mapping.written if name.lower() in lower]:
            raise InputError(
                f"the predictions have a column {taken[0]}, which the mapping also writes",
                hint="give it another name in the mapping",
            )
        near = self._near(self.mapping.predictions.event_time)
        load(
            self.connection,
            files,
            lambda reading: (
                "create or replace temp table predicted as "
                + feast_rows.predicted_rows(reading + near, self.mapping, _columns(self.connection, reading))
            ),
        )
        # a prediction may have been made without Feast
        self._report(files, "(select * replace (coalesce(import_request, '') as import_request) from predicted)")
        self.connection.execute("delete from predicted where coalesce(import_time > ?, true)", [self.latest])
        return kept

    def _report(self, files: ParquetFiles, relation: str) -> None:
        """Report the rows that cannot be used, and the files that turned out to be damaged."""
        known = set(self.done.problems)
        self.done.problems += [problem for problem in files.problems if problem not in known]
        self.connection.execute(f"create or replace temp view incoming as from {relation}")
        for path, reason, row_count in queries.run(
            self.connection, "connect/feast_refused", latest=self.latest
        ).fetchall():
            self.done.problems.append(f"{path}: {row_count:,} refused: {reason}")

    def _near(self, column: str) -> str:
        """SQL that skips row groups far from the wanted days; rows without a time are reported."""
        bounds = []
        if self.given.first_day > date.min:
            bounds.append(f">= timestamptz '{self.given.first_day - _A_DAY}'")
        if self.given.last_day < date.max:
            bounds.append(f"< timestamptz '{self.given.last_day + 2 * _A_DAY}'")
        return f" where {' and '.join(f'{quote(column)} {bound}' for bound in bounds)}" if bounds else ""

    def _unused(self) -> int:
        """Rows of the logs on the wanted days that no prediction has."""
        first = datetime.combine(self.given.first_day, time())
        last = datetime.combine(self.given.last_day, time.max)
        keys = "".join(f" and p.{quote(f'key:{key}')} = s.{quote(f'key:{key}')}" for key in self._keys())
        [(unused,)] = self.connection.execute(
            "select count(*) from served as s where import_time between ? and ? and not exists"
            f" (from predicted as p where p.import_request = s.import_request{keys})",
            [first, last],
        ).fetchall()
        return int(unused)

    def _keys(self) -> Sequence[str]:
        return list(self.mapping.predictions.keys) if self.mapping.predictions else []


def _write_day(run: _Run, target: Path, kept: Sequence[str], day: date, settings: Settings | None) -> WrittenDay:
    connection, mapping = run.connection, run.mapping
    connection.execute("create or replace temp table matched_day as from matched where import_day = ?", [day])
    users: Sequence[str] = ()
    if mapping.user_key:
        assert settings
        raw = connection.execute("select distinct import_user from matched_day").to_arrow_table()
        pseudonyms = pseudonym_columns(settings, raw, "import_user", day)
        create_table(connection, "pseudonyms", pseudonyms)
        users = [name for name in pseudonyms.column_names if name != "import_user"]
    key = mapping.predictions.correlation_id if mapping.predictions else "correlation_id"
    done = replace_day(
        connection,
        target / f"dt={day}" / FILE_NAME,
        target / _FOLDER / ".day.parquet",
        feast_rows.day_rows(mapping, kept, users),
        key=quote(key),
        why_lost=_WHY_LOST,
    )
    return replace(done, problems=[*done.problems, *_ambiguities(connection, mapping)], remarks=_statuses(run))


def _ambiguities(connection: duckdb.DuckDBPyConnection, mapping: FeastMapping) -> list[str]:
    """Problems of requests that asked for several entities."""
    if mapping.predictions:
        found = count(connection, "(from matched_day where import_matches > 1)")
        hint = "name the join keys that the predictions have in predictions.keys"
        return (
            [f"{counted(found, 'prediction')} found several entities of one request, the first counts; {hint}"]
            if found
            else []
        )
    found = count(connection, "(select correlation_id from day_rows group by correlation_id having count(*) > 1)")
    hint = "name a column with an id for each entity in correlation_id"
    return (
        [f"{counted(found, 'id')} occurs in several rows, because its request asked for several entities; {hint}"]
        if found
        else []
    )


def _statuses(run: _Run) -> list[str]:
    """Number of values by feature whose status is not present."""
    row_count = count(run.connection, "matched_day")
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for feature, status, number in run.connection.execute(feast_rows.status_counts(run.mapping)).fetchall():
        found[status][feature] = number
    remarks = [
        f"{status}: {', '.join(f'{feature} {number:,}' for feature, number in sorted(features.items()))} of {counted(row_count, 'prediction')}"
        for status in (*feast_rows.STATUSES.values(), feast_rows.UNKNOWN)
        if status != feast_rows.STATUSES[1] and (features := found[status])
    ]
    missing = count(run.connection, "(from matched_day where import_matches = 0)")
    return [*remarks, f"not_logged: {missing:,} of {counted(row_count, 'prediction')}"] if missing else remarks


def _require_mapped(mapping: FeastMapping, files: ParquetFiles) -> None:
    """Refuse a mapping that names columns that no log has."""
    keys = mapping.predictions.keys if mapping.predictions else ()
    others = [
        *mapping.columns.values(),
        *keys,
        mapping.correlation_id,
        *([mapping.user_key] if mapping.user_key else []),
    ]
    if missing := [name for name in others if name not in files.columns]:
        known = feast_rows.other_columns(files.columns)
        raise InputError(f"the logs have no column {missing[0]}", hint=f"they have {first_of(known, 20) or 'none'}")
    for feature in mapping.features.values():
        if feature not in files.columns or feature + STATUS not in files.columns:
            known = feast_rows.features_of(files.columns)
            raise InputError(f"the logs have no feature {feature}", hint=f"they have {first_of(known, 20) or 'none'}")


def _columns(connection: duckdb.DuckDBPyConnection, reading: str) -> Mapping[str, pa.DataType]:
    """The columns of all files together, with the types in which they are read."""
    schema = connection.execute(f"from {reading} limit 0").to_arrow_table().schema
    return dict(zip(schema.names, schema.types, strict=True))
