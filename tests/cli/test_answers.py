"""Results of queries are written in every format, whatever their types."""

from __future__ import annotations

import json
import sys
from io import BytesIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftlake.cli.common import Format, write
from driftlake.lake.shell import as_arrow, print_table, write_rows

_ANSWER = """
    select
        interval 3 day as span, 'ab'::blob as bytes, sum(9007199254740993) as large, [1, 2] as list,
        {'a': [interval 1 day]} as struct, map(['k'], [1.5::decimal(5, 2)]) as map, 1.50::decimal(5, 2) as number,
        '00000000-0000-0000-0000-000000000007'::uuid as id, time '10:00:01' as clock, date '2026-01-05' as day,
        timestamptz '2026-01-05 10:00:00+00' as instant, 'nan'::double as none, 'a'::enum('a') as word, null as nothing,
        [-interval 1 day] as back, map(['k'], ['nan'::double]) as nan_map, {'a': ['inf'::double, 1]} as inf_struct,
        340282366920938463463374607431768211455::uhugeint as larger, ['0101'::bit] as bits, timetz '10:00:00+02' as zoned,
        42::variant as variant, union_value(a := 1) as either, [1, 2]::int[2] as pair, 7 as id
"""


def written(output: str) -> bytes:
    target = BytesIO()
    with duckdb.connect() as connection:
        write_rows(as_arrow(connection, _ANSWER), output, target)
    return target.getvalue()


def test_every_type_is_written_as_csv() -> None:
    header, row = written("csv").decode().splitlines()
    assert header.split(",")[:3] == ["span", "bytes", "large"]
    assert row == (
        "3 days,ab,9007199254740993,\"[1, 2]\",{'a': [1 day]},{k=1.50},1.50,00000000-0000-0000-0000-000000000007,"
        "10:00:01,2026-01-05,2026-01-05 10:00:00+00,nan,a,,[-1 day],{k=nan},\"{'a': [inf, 1.0]}\","
        '340282366920938463463374607431768211455,[0101],10:00:00+02,42,1,"[1, 2]",7'
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
    assert [row[name] for name in ("back", "nan_map", "inf_struct", "larger", "bits", "zoned")] == [
        ["-1 day"],
        {"k": None},
        {"a": [None, 1]},
        2**128 - 1,
        ["0101"],
        "10:00:00+02",
    ]


def test_every_type_is_written_as_parquet() -> None:
    row = pq.read_table(BytesIO(written("parquet"))).drop_columns(["either"]).to_pylist()[0]
    assert (int(row["large"]), row["bytes"], row["list"]) == (9007199254740993, b"ab", [1, 2])
    assert (row["span"], row["back"], row["larger"], row["bits"]) == ("3 days", ["-1 day"], str(2**128 - 1), ["0101"])


def test_columns_of_one_name_are_numbered() -> None:
    with duckdb.connect() as connection:
        rows = as_arrow(connection, "select 1 as id, 2 as id_1, 3 as ID, 4 as id")
    assert rows.to_pylist() == [{"id": 1, "id_1": 2, "ID_2": 3, "id_3": 4}]


def test_every_type_is_drawn_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect() as connection:
        print_table(as_arrow(connection, _ANSWER))
    assert "9007199254740993" in capsys.readouterr().out
    assert "9007199254740993" in written("table").decode()


@pytest.mark.parametrize("output", [Format.csv, Format.json, Format.table])
def test_escape_codes_in_data_do_not_act_in_a_terminal(
    output: Format, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write(pa.table({"\x1b[31mname": ["\x9b2J\u202evalue"]}), output, None)
    assert set(capsys.readouterr().out) & {"\x1b", "\x9b", "\u202e"} == set()
