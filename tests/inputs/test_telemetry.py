"""Which predictions count, and their day, version and segments."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pytest
from data import MODEL, Row, day, given, model_version, noon

from driftlake.config import TelemetrySettings
from driftlake.inputs import predictions
from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.partitions import Partition
from driftlake.inputs.predictions import CodedRows, code_rows

COLUMNS = {
    "dt": "date",
    "correlation_id": "varchar",
    "model_id": "varchar",
    "model_version": "varchar",
    "deployment": "varchar",
    "event_time": "timestamp",
    "country": "varchar",
    "file_id": "integer",
    "file_row_number": "bigint",
}
PREDICTION: Row = MODEL | {"dt": day(1), "correlation_id": "a", "event_time": noon(1), "file_id": 0}


def coded(db: duckdb.DuckDBPyConnection, *rows: Row, **settings: object) -> CodedRows:
    """Codes of predictions, by default of one file; a row has only its differences from PREDICTION."""
    numbered = [PREDICTION | {"file_row_number": number} | row for number, row in enumerate(rows)]
    given(db, "predictions", COLUMNS, numbered)
    second = MODEL | {"model_version": "v2"}
    versions = [model_version(), model_version().__class__(**second, score_kind="none", features={}, score_bins=None)]
    predictions.create_version_tables(db, versions, {})
    files = tuple(InputFile(day(1), f"part-{i}", 0, len(rows), {}, None, "") for i in range(2))
    return code_rows(db, [Partition(day(1), files)], TelemetrySettings(path="telemetry", **settings))


def kept(db: duckdb.DuckDBPyConnection, *rows: Row) -> list[int]:
    """Positions of the rows that count."""
    codes = coded(db, *rows).codes
    return np.flatnonzero((codes["part-0"] >= 0) | (codes["part-1"] >= 0)).tolist()


def test_the_earliest_of_duplicate_predictions_counts(db: duckdb.DuckDBPyConnection) -> None:
    assert kept(db, {"event_time": noon(2)}, {"event_time": noon(1)}, {"event_time": noon(3)}) == [1]


def test_the_first_file_counts_for_duplicates_at_the_same_instant(db: duckdb.DuckDBPyConnection) -> None:
    assert kept(db, {"file_id": 1}, {"file_id": 0}) == [1]


def test_predictions_without_an_id_are_not_duplicates(db: duckdb.DuckDBPyConnection) -> None:
    assert kept(db, {"correlation_id": None}, {"correlation_id": None}) == [0, 1]


@pytest.mark.parametrize("difference", [{"model_version": "v2"}, {"dt": day(2)}, {"correlation_id": "b"}])
def test_predictions_of_another_version_day_or_id_are_not_duplicates(
    db: duckdb.DuckDBPyConnection, difference: Row
) -> None:
    assert kept(db, {}, difference) == [0, 1]


def test_duplicates_are_found_whatever_the_number_of_passes(
    db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "_KEYS_AT_ONCE", 3)
    assert kept(db, *({"correlation_id": key} for key in "abcabcd")) == [0, 1, 2, 6]


def test_predictions_of_an_unknown_version_have_no_code(db: duckdb.DuckDBPyConnection) -> None:
    assert kept(db, {}, {"correlation_id": "b", "model_version": "unregistered"}) == [0]


def test_each_day_version_and_deployment_has_a_code(db: duckdb.DuckDBPyConnection) -> None:
    rows = coded(db, {"correlation_id": "b", "deployment": "shadow"}, {"deployment": "production"}, {"dt": day(2)})
    assert rows.codes["part-0"].tolist() == [1, 0, 2]


def test_a_missing_deployment_is_production(db: duckdb.DuckDBPyConnection) -> None:
    [group] = coded(db, {"deployment": None}).groups
    assert group.deployment == "production"


def segments(db: duckdb.DuckDBPyConnection, countries: Sequence[str | None], limit: int = 2) -> list[str]:
    """Segments by country of a day."""
    rows = ({"correlation_id": str(number), "country": country} for number, country in enumerate(countries))
    [column] = coded(db, *rows, segments=["country"], segment_limit=limit).segment_columns[day(1)]
    return column.segments


def test_the_most_frequent_values_are_segments_of_their_own(db: duckdb.DuckDBPyConnection) -> None:
    found = segments(db, ["at", "de", "de", "ch", "ch"])
    assert found == ["country=ch", "country=de", "country=(other)", "country=(missing)"]


def test_a_day_without_values_has_only_the_missing_segment(db: duckdb.DuckDBPyConnection) -> None:
    assert segments(db, [None]) == ["country=(other)", "country=(missing)"]
