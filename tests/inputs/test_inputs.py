"""Messages about an input file name the file, the column and the reason."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from data import day, write_day

from driftlake.inputs.columns import LABEL_COLUMNS
from driftlake.inputs.listing import list_input
from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.partitions import Partition, chunks, probe, read_partitions

LABELS = {"correlation_id": ["a", "b"], "label": [0, 1]}


def only_file(folder: Path, mapping: dict[str, str] | None = None) -> InputFile:
    (partition,) = read_partitions(str(folder), [day(1)], LABEL_COLUMNS, mapping or {})
    (file,) = partition.files
    return file


def test_a_good_file_is_counted_from_its_footer(tmp_path: Path) -> None:
    write_day(tmp_path, 1, LABELS)
    file = only_file(tmp_path)
    assert (file.row_count, file.row_group_sizes, file.refusal) == (2, (2,), None)


def test_a_missing_day_is_a_partition_without_files(tmp_path: Path) -> None:
    write_day(tmp_path, 1, LABELS)
    assert read_partitions(str(tmp_path), [day(2)], [], {}) == [Partition(day(2), (), location=str(tmp_path))]


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    path = write_day(tmp_path, 1, LABELS)
    path.write_bytes(path.read_bytes()[:-20])
    refusal = only_file(tmp_path).refusal
    assert refusal == f"{path} is not a readable Parquet file (no Parquet footer: truncated, or another format)"


def test_a_broken_page_under_a_good_footer_is_found_by_probing(tmp_path: Path) -> None:
    path = write_day(tmp_path, 1, pa.table({"correlation_id": [str(i) for i in range(1000)], "label": [1] * 1000}))
    content = bytearray(path.read_bytes())
    content[8:400] = b"\xff" * 392
    path.write_bytes(content)
    (partition,) = read_partitions(str(tmp_path), [day(1)], LABEL_COLUMNS, {})
    assert partition.is_usable
    probed = probe(partition)
    assert str(probed.refusals[0].refusal).startswith(f"{path} is corrupt (")


@pytest.mark.parametrize(
    ("columns", "mapping", "reason"),
    [
        ({"label": [1]}, {}, "has no column correlation_id"),
        ({"id": ["a"]}, {"correlation_id": "id", "label": "is_late"}, "has no column is_late (mapped to label)"),
        (
            {"correlation_id": ["a"], "label": [day(1)]},
            {},
            "has column label of type date32[day], expected text, a number or a boolean",
        ),
    ],
)
def test_a_column_is_named_when_it_is_missing_or_of_the_wrong_type(
    tmp_path: Path, columns: dict[str, list[object]], mapping: dict[str, str], reason: str
) -> None:
    path = write_day(tmp_path, 1, columns)
    assert str(only_file(tmp_path, mapping).refusal).replace(": ", " ") == f"{path} {reason}".replace(": ", " ")


def test_the_fingerprint_follows_the_content_and_not_the_name(tmp_path: Path) -> None:
    write_day(tmp_path / "a", 1, LABELS)
    write_day(tmp_path / "b", 1, LABELS, name="other")
    write_day(tmp_path / "c", 1, LABELS | {"label": [0, 0]})
    a, b, c = (only_file(tmp_path / name).content_fingerprint for name in "abc")
    assert a == b
    assert a != c


def test_other_folders_are_not_days(tmp_path: Path) -> None:
    write_day(tmp_path, 2, LABELS)
    (tmp_path / "dt=soon").mkdir()
    assert list_input(str(tmp_path)).days == [day(2)]


def test_chunks_hold_whole_days_up_to_a_number_of_rows() -> None:
    def partition(number: int, rows: int) -> Partition:
        return Partition(day(number), (InputFile(day(number), "f", 1, rows, {}, None, "c"),))

    days = [partition(1, 4), partition(2, 6), partition(3, 1), partition(4, 30)]
    assert [[p.row_count for p in chunk] for chunk in chunks(days, 10)] == [[4, 6], [1], [30]]


def test_chunks_hold_consecutive_days() -> None:
    days = [Partition(day(number), ()) for number in (1, 2, 4)]
    assert chunks(days, 10) == [days[:2], days[2:]]
