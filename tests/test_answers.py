"""Answers to SQL are written whatever types they have."""

from __future__ import annotations

import json
from io import BytesIO

import duckdb
import pyarrow.parquet as pq
import pytest

from driftlake.lake.shell import print_table, write_rows

_ANSWER = """
    select
        interval 3 day as span, 'ab'::blob as bytes, sum(9007199254740993) as large, [1, 2] as list,
        {'a': [interval 1 day]} as struct, map(['k'], [1.5::decimal(5, 2)]) as map, 1.50::decimal(5, 2) as number,
        '00000000-0000-0000-0000-000000000007'::uuid as id, time '10:00:01' as clock, date '2026-01-05' as day,
        timestamptz '2026-01-05 10:00:00+00' as instant, 'nan'::double as none, 'a'::enum('a') as word, null as nothing
"""


def written(output: str) -> bytes:
    target = BytesIO()
    with duckdb.connect() as connection:
        write_rows(connection.execute(_ANSWER).to_arrow_table(), output, target)
    return target.getvalue()


def test_every_type_is_written_as_csv() -> None:
    header, row = written("csv").decode().splitlines()
    assert header.split(",")[:3] == ["span", "bytes", "large"]
    assert row == (
        "3 days,ab,9007199254740993,\"[1, 2]\",{'a': [1 day]},{k=1.50},1.50,00000000-0000-0000-0000-000000000007,"
        "10:00:01,2026-01-05,2026-01-05 10:00:00+00,nan,a,"
    )


def test_every_type_is_written_as_json() -> None:
    row = json.loads(written("json"))
    assert [row[name] for name in ("span", "bytes", "list", "struct", "map")] == [
        "3 days",
        "ab",
        [1, 2],
        {"a": ["1 day"]},
        {"k": 1.5},
    ]
    assert (row["large"], row["number"], row["none"], row["day"]) == (9007199254740993, 1.5, None, "2026-01-05")


def test_every_type_is_written_as_parquet() -> None:
    row = pq.read_table(BytesIO(written("parquet"))).select(["large", "bytes", "list", "map"]).to_pylist()[0]
    assert (int(row["large"]), row["bytes"], row["list"]) == (9007199254740993, b"ab", [1, 2])


def test_every_type_is_drawn_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect() as connection:
        print_table(connection.execute(_ANSWER).to_arrow_table())
    assert "9007199254740993" in capsys.readouterr().out
    assert "9007199254740993" in written("table").decode()
