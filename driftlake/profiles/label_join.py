"""Labels joined to predictions inside one session: relations in, counts out that add up.

The session holds all labels and predictions of a span, or those of some correlation ids alone. Not here: which days these
are and what is left out of them (`driftlake.nightly.label_source`), and who holds them (`driftlake.engines`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from driftlake.config import LabelSettings
from driftlake.inputs.partitions import Partition
from driftlake.inputs.predictions import LeftOut, Reading
from driftlake.lake import queries
from driftlake.lake.session import create_table
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.binning import PROBABILITY_GRID

# A prediction's file may be written days after its label arrived; older labels without a prediction stay unmatched.
EARLY_LABEL_DAYS = 7

# Makes partitions visible as a relation, without the rows that are in quarantine, and shows what is left out.
CreateSoundView: TypeAlias = Callable[[str, Sequence[Partition]], LeftOut]

_SCORE_GRID = {
    "grid_lower": PROBABILITY_GRID.lower,
    "grid_upper": PROBABILITY_GRID.upper,
    "grid_cells": PROBABILITY_GRID.cells,
}


@dataclass(frozen=True, slots=True)
class Delivered:
    """Labels and telemetry that can be used, and how to make them visible in a session."""

    labels: Sequence[Partition]
    telemetry: Sequence[Partition]
    versions: Sequence[ModelVersion]
    label_side: Reading
    prediction_side: Reading
    create_labels_view: CreateSoundView
    create_predictions_view: CreateSoundView


@dataclass(frozen=True, slots=True)
class LabelJoin:
    """What is asked of a span of days; `segments` and `sampling_rates` are as predictions were counted."""

    settings: LabelSettings
    first_day: date
    last_day: date
    segments: pa.Table
    sampling_rates: pa.Table

    @property
    def memory_days(self) -> int:
        """Days before an arrival in which an earlier label of the same prediction can lie."""
        return memory_days(self.settings)

    @property
    def new_until(self) -> date:
        """The day before which predictions of the span can have had a label before it."""
        return self.first_day + timedelta(days=EARLY_LABEL_DAYS)

    @property
    def recent_from(self) -> date:
        """The first day on which a label before the span can be of a prediction in it."""
        return self.first_day - timedelta(days=EARLY_LABEL_DAYS)

    def judge(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Fill label_rows, which labels count, from labels, earlier_labels, recent_labels and new_predictions."""
        queries.run(connection, "remembered_labels", first_day=self.first_day)
        queries.run(connection, "label_rows", memory_days=self.memory_days)

    def awaited_days(self, connection: duckdb.DuckDBPyConnection) -> Collection[date]:
        """Prediction days that some row of label_rows asks for."""
        found = queries.run(connection, "awaited_days", **self._reach, **self._policy).fetchall()
        return {day for (day,) in found}

    def sums(self, connection: duckdb.DuckDBPyConnection) -> Mapping[str, pa.Table]:
        """Counts of label_rows and of their `predictions`, by the query that makes them."""
        create_table(connection, "counted_rates", self.sampling_rates)
        create_table(connection, "counted_segments", self.segments)
        queries.run(connection, "label_pairs", **self._reach, **self._policy)
        queries.run(connection, "label_corrections", **self._policy)
        days = {"first_day": self.first_day, "last_day": self.last_day}
        queries.run(connection, "class_pairs", **days)
        asked: dict[str, Mapping[str, Any]] = dict.fromkeys(
            ("label_sums", "shadow_cohorts", "label_arrivals", "label_conflicts", "ambiguous_labels"), days
        )
        asked |= {"class_cohorts": {}, "class_score_cohorts": _SCORE_GRID}
        return {name: queries.table(connection, name, **values) for name, values in asked.items()}

    @property
    def _reach(self) -> dict[str, Any]:
        horizon_days = self.settings.horizon_days
        return {"first_day": self.first_day, "horizon_days": horizon_days, "early_days": EARLY_LABEL_DAYS}

    @property
    def _policy(self) -> dict[str, Any]:
        return {"is_latest": self.settings.corrections == "latest"}


def memory_days(settings: LabelSettings) -> int:
    """Days before an arrival in which an earlier label of the same prediction can lie."""
    return settings.horizon_days + EARLY_LABEL_DAYS


def cohorts_of(connection: duckdb.DuckDBPyConnection, sums: pa.Table) -> pa.Table:
    """Rows of label_cohorts from what any parts of the pairs add to them."""
    connection.register("label_sums", sums)
    return queries.table(connection, "label_cohorts")
