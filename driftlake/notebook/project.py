"""A project as a notebook reads it: the newest results, and SQL, as polars data frames. Nothing is written.

Not here: the queries (sql/notebook) and attaching the warehouse (`driftlake.lake.warehouse`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

import polars as pl
import pyarrow as pa

from driftlake.config import Settings, load_settings
from driftlake.errors import ConfigurationError, InputError
from driftlake.lake import shell
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import SCORE
from driftlake.maths.segments import ALL
from driftlake.notebook.options import Config, settings_of
from driftlake.vocabulary.wording import first_of

Day: TypeAlias = "date | str | None"
_SHOWN_NAMES = 20


@dataclass(frozen=True)
class Project:
    """The results of a project. Each call attaches the warehouse read-only, so it sees the newest snapshot."""

    settings: Settings

    def drift(
        self,
        model_id: str | None = None,
        model_version: str | None = None,
        *,
        feature: str | None = None,
        segment: str | None = ALL,
        since: Day = None,
        until: Day = None,
    ) -> pl.DataFrame:
        """Rows of `feature_drift` and, with the feature `score`, of `prediction_drift`.

        They are of the newest day, or of the days from `since` to `until`; a `segment` of None is all segments.
        """
        asked = {"model_id": model_id, "model_version": model_version, "feature": feature, "segment": segment}
        return self._rows("drift", since, until, **asked)

    def quality(
        self,
        model_id: str | None = None,
        model_version: str | None = None,
        *,
        segment: str | None = ALL,
        since: Day = None,
        until: Day = None,
    ) -> pl.DataFrame:
        """Rows of `model_quality`, of the same days."""
        return self._rows("quality", since, until, model_id=model_id, model_version=model_version, segment=segment)

    def verdicts(
        self,
        model_id: str | None = None,
        model_version: str | None = None,
        *,
        since: Day = None,
        until: Day = None,
    ) -> pl.DataFrame:
        """Rows of `model_verdicts`, of the same days."""
        return self._rows("verdicts", since, until, model_id=model_id, model_version=model_version)

    def sql(self, query: str) -> pl.DataFrame:
        """Rows of a query on the tables and views of docs/tables.md.

        Raises WarehouseError with DuckDB's explanation if it is wrong or would write.
        """
        with shell.opened(self.settings) as warehouse:
            return _polars(shell.answer(warehouse, query))

    def _rows(self, name: str, since: Day, until: Day, **asked: str | None) -> pl.DataFrame:
        first_day, last_day = _day("since", since), _day("until", until)
        if first_day and last_day and last_day < first_day:
            raise ConfigurationError(f"until ({last_day}) is before since ({first_day})")
        if last_day and not first_day:
            # a day of its own
            first_day = last_day
        with self._warehouse() as warehouse, warehouse.one_snapshot():
            found = warehouse.query(f"notebook/{name}", first_day=first_day, last_day=last_day, **asked)
            if not found.num_rows:
                _require_known(warehouse, asked)
        return _polars(found)

    def _warehouse(self) -> Warehouse:
        return Warehouse.open(self.settings, read_only=True)

    def __repr__(self) -> str:
        return f"Project({self.settings.resolve('.')})"


def open(config: Config = None) -> Project:  # noqa: A001  # called as driftlake.open
    """The project of a driftlake.yaml, or of `Settings`; by default of the file that the command would use.

    Raises ConfigurationError if there is no such file, or if something is wrong with it.
    """
    return Project(settings_of(load_settings() if config is None else config))


def _polars(rows: pa.Table) -> pl.DataFrame:
    found: Any = pl.from_arrow(rows)
    assert isinstance(found, pl.DataFrame)
    return found


def _day(name: str, given: Day) -> date | None:
    if isinstance(given, datetime):
        return given.date()
    if given is None or isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name}: {given!r} is not a day", hint='write it as "2026-01-31"') from error


# by argument, the query for its existing names
_KNOWN = {
    "model_id": "select distinct model_id as name from training_runs order by 1",
    "model_version": "select distinct model_version as name from training_runs where model_id = coalesce(?, model_id) order by 1",
    "segment": "select distinct segment as name from feature_drift where model_id = coalesce(?, model_id) order by 1",
    "feature": "select distinct feature as name from feature_bins where model_id = coalesce(?, model_id) order by 1",
}


def _require_known(warehouse: Warehouse, asked: dict[str, str | None]) -> None:
    """Raises InputError if a name that was asked for does not exist: an empty answer should not hide a typing error."""
    for key, query in _KNOWN.items():
        name = asked.get(key)
        if name is None or name in {SCORE, ALL}:
            continue
        values = [asked["model_id"]] if "?" in query else []
        names = warehouse.sql(query, values)["name"].to_pylist()
        if name not in names:
            known = first_of([str(each) for each in names], _SHOWN_NAMES) or "none"
            raise InputError(f"there is no {key} {name}", hint=f"there is {known}")
