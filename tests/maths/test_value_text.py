"""The text of a value is the same in Arrow and in DuckDB, and the same whatever type the value is stored as."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftlake.inputs.columns import LABEL_COLUMNS
from driftlake.maths.value_text import sql_text, texts_of

KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "double": (pa.float64(), st.floats()),
    "float": (pa.float32(), st.floats(width=32)),
    "half": (pa.float16(), st.floats(width=16)),
    "whole double": (pa.float64(), st.integers(-(2**53), 2**53).map(float)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "decimal(38, 18)": (pa.decimal128(38, 18), st.decimals(-(10**15), 10**15, places=18)),
    "decimal(5, 2)": (pa.decimal128(5, 2), st.decimals(-999, 999, places=2)),
    "decimal(9, 0)": (pa.decimal128(9, 0), st.decimals(-(10**8), 10**8, places=0)),
    "boolean": (pa.bool_(), st.booleans()),
    "text": (pa.string(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    "bytes": (pa.binary(), st.binary() | st.text().map(lambda text: text.encode(errors="replace"))),
    "UUID": (pa.uuid(), st.uuids().map(lambda identifier: identifier.bytes)),
    "16 bytes": (pa.binary(16), st.binary(min_size=16, max_size=16)),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_value_has_the_same_text_in_arrow_and_in_duckdb(
    db: duckdb.DuckDBPyConnection, tmp_path: Path, name: str
) -> None:
    kind, strategy = KINDS[name]
    # DuckDB caches files by path
    paths = (tmp_path / f"{number}.parquet" for number in count())

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.none() | strategy, min_size=1, max_size=40))
    def check(values: list[Any]) -> None:
        if pa.types.is_float16(kind):
            import numpy as np

            values = [None if value is None else np.float16(value) for value in values]
        path = next(paths)
        pq.write_table(pa.table({"value": pa.array(values, kind)}), path)
        read = pq.read_table(path)["value"].combine_chunks()
        rows = db.execute(f"select {sql_text('value', read.type)} from '{path}'").fetchall()
        assert [row[0] for row in rows] == texts_of(read)

    check()


def test_a_short_float_between_two_shortest_decimals_is_written_as_it_is(db: duckdb.DuckDBPyConnection) -> None:
    values = pa.array([1.01953125, 131261.875, 0.1], pa.float32())
    db.register("given", pa.table({"value": values}))
    rows = db.execute(f"select {sql_text('value', values.type)} from given").fetchall()
    assert [row[0] for row in rows] == texts_of(values) == ["1.01953125", "131261.875", "0.1"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, None]),
        pa.array([3.0, None]),
        pa.array([3.0, float("nan")]),
        pa.array([3.0, None], pa.float32()),
        pa.array([Decimal(3), None], pa.decimal128(38, 18)),
        pa.array([b"3", b"\xff"]),
        pa.array(["3", None], pa.string_view()),
    ],
    ids=lambda values: str(values.type),
)
def test_a_whole_number_is_its_digits_whatever_its_type(values: pa.Array) -> None:
    assert texts_of(values) == ["3", None]


def test_texts_of_other_values() -> None:
    texts = {
        text: texts_of(pa.array([value], kind))
        for text, value, kind in [
            ("0", -0.0, pa.float64()),
            ("0.1", 0.1, pa.float32()),
            ("0.5", Decimal("0.50"), pa.decimal128(5, 2)),
            ("100", Decimal("100.00"), pa.decimal128(5, 2)),
            ("true", True, pa.bool_()),
            ("1e-07", 1e-7, pa.float64()),
            (str(UUID(int=7)), UUID(int=7).bytes, pa.binary(16)),
        ]
    }
    assert texts == {text: [text] for text in texts}


@pytest.mark.parametrize(
    ("zone", "hour"), [("Asia/Tokyo", 9), ("+09:00", 9), ("-03:30", -3.5), ("UTC", 0), ("+00:00", 0)]
)
def test_midnight_in_the_time_zone_of_the_writer_is_its_day(tmp_path: Path, zone: str, hour: float) -> None:
    midnight = datetime(2026, 1, 5, tzinfo=timezone(timedelta(hours=hour)))
    column = pa.array([midnight], pa.timestamp("us", zone))
    pq.write_table(pa.table({"day": column}), tmp_path / "labels.parquet")
    [prediction_on] = (canonical for canonical in LABEL_COLUMNS if canonical.name == "prediction_on")
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        read = prediction_on.value("day", column.type)
        found = connection.execute(f"select {read} from '{tmp_path}/labels.parquet'").fetchall()
    assert found == [(date(2026, 1, 5),)]
