"""Labels and predictions as relations of DuckDB, and the queries that check the labels and join the two.

Not here: what these queries should find (test_labels.py, test_classes.py).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
from data import MODEL, Row, day, given, noon

from driftlake.inputs.columns import LABEL_COLUMNS, TELEMETRY_COLUMNS
from driftlake.lake import queries
from driftlake.maths.binning import PROBABILITY_GRID
from driftlake.nightly.label_source import EARLY_LABEL_DAYS

FILE_COLUMNS = {"dt": "date", "file_id": "integer", "file_row_number": "bigint"}
PREDICTION: Row = MODEL | {
    "dt": day(1),
    "correlation_id": "a",
    "file_id": 0,
    "event_time": noon(1),
    "score": 0.5,
}
PROBABILITY: Row = {
    "task": "binary",
    "decision_cut": 0.5,
    "score_kind": "probability",
    "grid_transform": "logit",
    "grid_scale": 1.0,
    "grid_lower": PROBABILITY_GRID.lower,
    "grid_upper": PROBABILITY_GRID.upper,
    "grid_cells": PROBABILITY_GRID.cells,
}
VERSION_COLUMNS = (
    {"version_id": "integer"}
    | dict.fromkeys((*MODEL, "score_kind", "task", "grid_transform"), "varchar")
    | dict.fromkeys(("quantile", "decision_cut", "grid_scale", "grid_lower", "grid_upper"), "double")
    | {"grid_cells": "integer", "classes": "varchar[]"}
    | dict.fromkeys(("positive_label", "negative_label"), "varchar")
)


def given_predictions(
    db: duckdb.DuckDBPyConnection, *rows: Row, first_day: int = 1, version: Row = PROBABILITY
) -> None:
    """The relations of predictions for a span from `first_day`; a row says only how it differs from PREDICTION."""
    columns = {column.name: column.sql_type for column in TELEMETRY_COLUMNS} | FILE_COLUMNS
    columns |= {"segments": "varchar[]", "class_scores": "map(varchar, double)"}
    numbered = [PREDICTION | {"file_row_number": number, "segments": []} | row for number, row in enumerate(rows)]
    given(db, "predictions", columns, numbered)
    given(db, "new_predictions", columns, [row for row in numbered if row["dt"] >= day(first_day)])
    versions = [MODEL | {"version_id": number, "model_version": name} for number, name in enumerate(("v1", "v2"))]
    given(db, "versions", VERSION_COLUMNS, [row | version for row in versions])
    counted = {"dt": "date"} | dict.fromkeys((*MODEL, "deployment", "segment"), "varchar")
    given(
        db, "counted_segments", counted, [MODEL | {"dt": day(1), "deployment": "production", "segment": "country=at"}]
    )
    rates = {"dt": "date"} | dict.fromkeys((*MODEL, "deployment"), "varchar") | {"sampling_rate": "double"}
    given(db, "counted_rates", rates, [])
    cells = {"version_id": "integer", "cell": "bigint", "bin_id": "integer"}
    given(db, "score_cells", cells, [{"version_id": 0, "cell": cell, "bin_id": 3 + cell // 2} for cell in range(4)])


def given_labels(
    db: duckdb.DuckDBPyConnection,
    *rows: tuple[int, str | None, float | None] | tuple[int, str, float, date],
    first_day: int = 1,
) -> None:
    """The relations of labels for a span from `first_day`: (arrival day, correlation id, label, prediction day)."""
    columns = {column.name: column.sql_type for column in LABEL_COLUMNS} | FILE_COLUMNS
    names = ("dt", "correlation_id", "label", "prediction_on")
    arrived = [dict(zip(names, (day(arrival), *rest), strict=False)) for arrival, *rest in rows]
    earlier = [row for row in arrived if row["dt"] < day(first_day)]
    recent = [row for row in earlier if (day(first_day) - row["dt"]).days <= EARLY_LABEL_DAYS]
    of_span = [row for row in arrived if row["dt"] >= day(first_day)]
    for relation, kept in (("labels", of_span), ("earlier_labels", earlier), ("recent_labels", recent)):
        # files and their rows are numbered in each relation
        files = [row | {"file_id": 0, "file_row_number": number} for number, row in enumerate(kept)]
        given(db, relation, columns, files)


def judged(db: duckdb.DuckDBPyConnection, lookback_days: int = 67, first_day: int = 1) -> list[tuple[bool, bool, bool]]:
    """Whether each label is valid, a duplicate and a conflict, day by day."""
    if not db.execute("select 1 from duckdb_tables() where table_name = 'new_predictions'").fetchall():
        given_predictions(db)
    queries.run(db, "labels/earlier_matching_labels", first_day=day(first_day))
    queries.run(db, "labels/label_rows", lookback_days=lookback_days)
    return db.execute(
        "select is_valid, is_duplicate, is_conflict from label_rows order by dt, file_row_number"
    ).fetchall()


def paired(db: duckdb.DuckDBPyConnection, horizon_days: int = 10, first_day: int = 1) -> list[Any]:
    """(day known, version, arrival day of the label) of every pair."""
    judged(db, lookback_days=horizon_days + EARLY_LABEL_DAYS, first_day=first_day)
    reach = {
        "first_day": day(first_day),
        "horizon_days": horizon_days,
        "early_days": EARLY_LABEL_DAYS,
        "is_latest": False,
    }
    queries.run(db, "labels/label_pairs", **reach)
    queries.run(db, "labels/label_corrections", is_latest=False)
    return db.execute("select known_on, version_id, label_on from label_pairs where weight = 1 order by all").fetchall()
