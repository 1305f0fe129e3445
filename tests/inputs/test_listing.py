"""Which files are read, and their days, by the names of files and folders."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftlake.errors import InputError
from driftlake.inputs.listed_files import MAGIC
from driftlake.inputs.listing import list_all, list_input
from driftlake.inputs.partition_names import place_of

DAY = date(2026, 1, 5)
ROWS = pa.table({"x": [1]})


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(ROWS, root / path)


def names(root: Path, day: date = DAY, pattern: str | None = None) -> list[str]:
    files = list_input(str(root), pattern).files_of(day).files
    return [str(Path(file.path).relative_to(root)) for file in files]


@pytest.mark.parametrize(
    "folder",
    [
        "dt=2026-01-05",
        "dt=20260105",
        "dt=2026-1-5",
        "dt=2026-01-05 00%3A00%3A00",
        "dt=2026-01-05T00%3A00%3A00.000%2B00%3A00",
        "dt=2026-01-05+00%3A00%3A00",
        "dt=2026-01-05T13",
        "dt=2026010513",
        "dt=2026-01-05-13",
        "date=2026-01-05",
        "day=20260105",
        "ds=2026-01-05",
        "event_date=2026-01-05",
        "2026-01-05",
        "20260105",
        "2026/01/05",
        "2026/01/05/13",
        "year=2026/month=1/day=5",
        "year=2026/month=01/day=05/hour=03",
        "dt=2026-01-05/hour=03",
        "dt=2026-01-05/region=eu/hour=3",
        "region=eu/dt=2026-01-05",
        "dt=2026-01-05/all.parquet",
        "2026-01-05.parquet",
    ],
)
def test_a_layout_of_folders_is_found_by_itself(tmp_path, folder):
    put(tmp_path, f"{folder}/a.parquet")
    found = list_input(str(tmp_path))
    assert found.days == [DAY]
    assert names(tmp_path) == [f"{folder}/a.parquet"]
    # a path alone says the same, as `driftlake check` reads it
    assert place_of(f"somewhere/{folder}".split("/")).day == DAY


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("day_%Y%m%d", "day_20260105"),
        ("*/y%Y/m%m/d%d", "eu/y2026/m1/d5"),
        ("id=%Y%m%d", "id=20260105"),
        ("%d.%m.%Y", "05.01.2026/hour=3"),
        ("dt=%Y-%m-%dT%H", "dt=2026-01-05T07"),
        ("%Y-%m-%d/*", "2026-01-05/batch seven"),
    ],
)
def test_a_pattern_describes_folders_that_cannot_be_recognised(tmp_path, pattern, folder):
    put(tmp_path, f"{folder}/a.parquet")
    assert names(tmp_path, pattern=pattern) == [f"{folder}/a.parquet"]


@pytest.mark.parametrize(
    "folder",
    ["dt=2026-13-05", "dt=soon", "id=20260105", "year=2026/month=01", "archive", "dt=__HIVE_DEFAULT_PARTITION__"],
)
def test_files_of_no_day_are_an_error_that_names_their_folder(tmp_path, folder):
    put(tmp_path, f"{folder}/a.parquet")
    with pytest.raises(InputError, match=f"nothing in .* is recognised as a day: .*{folder}") as raised:
        list_input(str(tmp_path))
    assert "partitioning" in raised.value.hint


def test_folders_of_the_same_day_are_read_together(tmp_path):
    put(tmp_path, "dt=2026-1-5/a.parquet", "dt=2026-01-05/b.parquet", "dt=20260106/c.parquet")
    assert list_input(str(tmp_path)).days == [DAY, date(2026, 1, 6)]
    assert names(tmp_path) == ["dt=2026-01-05/b.parquet", "dt=2026-1-5/a.parquet"]


@pytest.mark.parametrize("name", ["a.parquet", "a.parq", "a.pq", "a.PARQUET", "a.parquet.snappy", "000000_0", "a.c000"])
def test_a_parquet_file_counts_by_its_ending_or_its_bytes(tmp_path, name):
    put(tmp_path, f"dt=2026-01-05/{name}")
    assert names(tmp_path) == [f"dt=2026-01-05/{name}"]


@pytest.mark.parametrize(
    "name", ["_a.parquet", ".a.parquet", "_temporary/0/a.parquet", ".staging/a.parquet", "hour=3/_a.parquet"]
)
def test_hidden_files_are_neither_read_nor_reported(tmp_path, name):
    put(tmp_path, f"dt=2026-01-05/{name}")
    assert not names(tmp_path)
    assert not list_input(str(tmp_path)).files_of(DAY).skipped


@pytest.mark.parametrize("name", ["a.parquet.tmp", "a.parquet.inprogress", "a.parquet._COPYING_", "old/a.parquet"])
def test_possible_copies_are_skipped_and_named(tmp_path, name):
    put(tmp_path, f"dt=2026-01-05/{name}")
    found = list_input(str(tmp_path)).files_of(DAY)
    assert not found.files
    assert [name.split("/")[0] in entry.path for entry in found.skipped] == [True]


def test_a_file_that_only_begins_like_parquet_is_not_read(tmp_path):
    (tmp_path / "dt=2026-01-05").mkdir()
    (tmp_path / "dt=2026-01-05" / "000000_0").write_bytes(MAGIC + b"x" * 20)
    found = list_input(str(tmp_path)).files_of(DAY)
    assert not found.files
    assert "000000_0 (it does not begin and end with PAR1" in str(found.skipped[0])


def test_values_in_the_names_of_folders_are_columns_of_their_files(tmp_path):
    put(tmp_path, "region=e%20u/dt=2026-01-05/hour=03/shop=7/kind=__HIVE_DEFAULT_PARTITION__/a.parquet")
    [file] = list_input(str(tmp_path)).files_of(DAY).files
    assert file.values == {"region": "e u", "hour": "03", "shop": "7", "kind": None}


def test_only_the_months_that_are_asked_for_are_listed(tmp_path):
    put(tmp_path, "year=2026/month=1/day=5/a.parquet", "year=2025/month=12/day=31/a.parquet")
    assert list_input(str(tmp_path), days=[DAY]).days == [DAY]
    # a layout with days of another month only is still understood
    assert list_input(str(tmp_path), days=[date(2024, 2, 2)]).days == []


def test_days_beside_a_folder_of_another_name_are_read_without_it(tmp_path):
    put(tmp_path, "dt=2026-01-05/a.parquet", "archive/dt=2026-01-05/b.parquet", "region=eu/dt=2026-01-05/c.parquet")
    found = list_input(str(tmp_path))
    assert names(tmp_path) == ["dt=2026-01-05/a.parquet"]
    assert [Path(entry.path).name for entry in found.skipped] == ["archive", "region=eu"]


def test_every_file_of_a_training_folder_counts_by_the_same_rule(tmp_path):
    put(tmp_path, "split=train/a.parquet", "any/b.pq", "_x/c.parquet", "d.tmp")
    assert [Path(file.path).name for file in list_all(str(tmp_path))] == ["b.pq", "a.parquet"]
