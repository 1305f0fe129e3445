"""Joining labels to predictions inside one session: relations in, additive counts out.

The session holds all labels and predictions of a range of days, or only those of some correlation ids. Not here: which
days these are and what is left out of them (`driftlake.nightly.label_source`), and distributing them
(`driftlake.engines`).
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

# The file of a prediction may be written up to this many days after its label arrived; older labels without a
# prediction stay unmatched.
EARLY_LABEL_DAYS = 7

# Creates a view over partitions without the rows that are in quarantine, and returns what is left out.
CreateValidView: TypeAlias = Callable[[str, Sequence[Partition]], LeftOut]

_SCORE_GRID = {
    "grid_lower": PROBABILITY_GRID.lower,
    "grid_upper": PROBABILITY_GRID.upper,
    "grid_cells": PROBABILITY_GRID.cells,
}


@dataclass(frozen=True, slots=True)
class Delivered:
    """Labels and telemetry that can be used, and how to create views over them in a session."""

    labels: Sequence[Partition]
    telemetry: Sequence[Partition]
    versions: Sequence[ModelVersion]
    label_side: Reading
    prediction_side: Reading
    create_labels_view: CreateValidView
    create_predictions_view: CreateValidView


@dataclass(frozen=True, slots=True)
class LabelJoin:
    """The join for a range of days; `segments` and `sampling_rates` are those with which predictions were counted."""

    settings: LabelSettings
    first_day: date
    last_day: date
    segments: pa.Table
    sampling_rates: pa.Table

    @property
    def lookback_days(self) -> int:
        """How many days before the arrival of a label an earlier label of the same prediction can have arrived."""
        return lookback_days(self.settings)

    @property
    def new_until(self) -> date:
        """Predictions before this day can have had a label before the first day of the range."""
        return self.first_day + timedelta(days=EARLY_LABEL_DAYS)

    @property
    def recent_from(self) -> date:
        """The first day on which a label that arrived before the range can belong to a prediction in it."""
        return self.first_day - timedelta(days=EARLY_LABEL_DAYS)

    def judge(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Decide which labels count: fill label_rows from labels, earlier_labels, recent_labels and new_predictions."""
        queries.run(connection, "labels/earlier_matching_labels", first_day=self.first_day)
        queries.run(connection, "labels/label_rows", lookback_days=self.lookback_days)

    def needed_days(self, connection: duckdb.DuckDBPyConnection) -> Collection[date]:
        """The prediction days that rows of label_rows refer to."""
        found = queries.run(connection, "labels/needed_days", **self._reach, **self._policy).fetchall()
        return {day for (day,) in found}

    def sums(self, connection: duckdb.DuckDBPyConnection) -> Mapping[str, pa.Table]:
        """Counts of label_rows and of their `predictions`, by the name of the query that computes them."""
        create_table(connection, "counted_rates", self.sampling_rates)
        create_table(connection, "counted_segments", self.segments)
        queries.run(connection, "labels/label_pairs", **self._reach, **self._policy)
        queries.run(connection, "labels/label_corrections", **self._policy)
        days = {"first_day": self.first_day, "last_day": self.last_day}
        queries.run(connection, "labels/class_pairs", **days)
        queried: dict[str, Mapping[str, Any]] = dict.fromkeys(
            ("label_sums", "shadow_cohorts", "label_arrivals", "label_conflicts", "ambiguous_labels"), days
        )
        queried |= {"class_cohorts": {}, "class_score_cohorts": _SCORE_GRID}
        return {name: queries.table(connection, f"labels/{name}", **values) for name, values in queried.items()}

    @property
    def _reach(self) -> dict[str, Any]:
        horizon_days = self.settings.horizon_days
        return {"first_day": self.first_day, "horizon_days": horizon_days, "early_days": EARLY_LABEL_DAYS}

    @property
    def _policy(self) -> dict[str, Any]:
        return {"is_latest": self.settings.corrections == "latest"}


def lookback_days(settings: LabelSettings) -> int:
    """How many days before the arrival of a label an earlier label of the same prediction can have arrived."""
    return settings.horizon_days + EARLY_LABEL_DAYS


def cohorts_of(connection: duckdb.DuckDBPyConnection, sums: pa.Table) -> pa.Table:
    """Rows of label_cohorts from the sums of any parts of the pairs."""
    connection.register("label_sums", sums)
    return queries.table(connection, "labels/label_cohorts")
