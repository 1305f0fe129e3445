"""Tables as other programs write them: Delta by deltalake, Iceberg by pyiceberg, and deletes that neither can write.

Not here: reading them (test_lakehouse.py).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.table import Table
from pyiceberg.table.update import snapshot
from pyiceberg.transforms import Transform
from pyroaring import BitMap64

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_ROARING_MAGIC = 1681511377


def write_delta(root: Path, days: Iterable[pa.Table], partition_by: Sequence[str], **settings: str) -> None:
    """A commit for each table of rows."""
    for rows in days:
        write_deltalake(root, rows, mode="append", partition_by=list(partition_by), configuration=settings or None)


def delete_by_vector(root: Path, path: str, rows: Iterable[int]) -> None:
    """A commit that marks rows of a file as deleted by a deletion vector, as Spark does; the file stays as it is."""
    logs = sorted((root / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    [added] = [action["add"] for action in actions if action.get("add", {}).get("path") == path]
    vector = struct.pack("<i", _ROARING_MAGIC) + BitMap64(rows).serialize()
    deleted = {
        "storageType": "i",
        "pathOrInlineDv": _z85(vector),
        "sizeInBytes": len(vector),
        "cardinality": len(list(rows)),
    }
    protocol = [action["protocol"] for action in actions if "protocol" in action][-1]
    features = {
        kind: sorted({*protocol.get(kind, ()), "deletionVectors"}) for kind in ("readerFeatures", "writerFeatures")
    }
    removed = {"path": path, "deletionTimestamp": 1, "dataChange": True, "partitionValues": added["partitionValues"]}
    allowed = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    commit = [{"protocol": allowed}, {"remove": removed}, {"add": {**added, "deletionVector": deleted}}]
    text = "\n".join(json.dumps(action) for action in commit)
    (root / "_delta_log" / f"{len(logs):020d}.json").write_text(text)


def _z85(content: bytes) -> str:
    padded = content + b"\0" * (-len(content) % 4)
    numbers = struct.unpack(f">{len(padded) // 4}I", padded)
    return "".join(_Z85[number // 85**power % 85] for number in numbers for power in (4, 3, 2, 1, 0))


def create_iceberg(
    root: Path, schema: pa.Schema, partition: dict[str, Transform[Any, Any]], location: str | None = None, **access: str
) -> Table:
    """An empty table in a folder of its own or at a location, partitioned by columns."""
    root.mkdir(parents=True)
    catalog = SqlCatalog("c", uri=f"sqlite:///{root}/_catalog.db", warehouse=f"file://{root}", **access)
    catalog.create_namespace("n")
    table = catalog.create_table("n.t", schema=schema, location=location or f"file://{root}")
    with table.update_spec() as spec:
        for column, transform in partition.items():
            spec.add_field(column, transform, f"{column}_part")
    return table


class _DeletesWriter(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def delete_positions(
    root: Path,
    table: Table,
    place: int,
    rows: Sequence[int],
    content: DataFileContent = DataFileContent.POSITION_DELETES,
) -> None:
    """A commit that deletes rows of one of the files by their positions, as engines do that merge on read."""
    file = sorted((task.file for task in table.scan().plan_files()), key=lambda file: file.file_path)[place]
    path = root / "data" / f"deletes-{place}-{len(rows)}.parquet"
    pq.write_table(pa.table({"file_path": [file.file_path] * len(rows), "pos": list(rows)}), path)
    deletes = DataFile.from_args(
        content=content,
        file_path=f"file://{path}",
        file_format=FileFormat.PARQUET,
        partition=file.partition,
        record_count=len(rows),
        file_size_in_bytes=path.stat().st_size,
        equality_ids=[1] if content == DataFileContent.EQUALITY_DELETES else None,
    )
    deletes.spec_id = file.spec_id

    def writer(*, format_version: int, **arguments: Any) -> _DeletesWriter:
        assert format_version == 2
        return _DeletesWriter(**arguments)

    with (
        patch.object(snapshot, "write_manifest", writer),
        table.transaction() as transaction,
        transaction.update_snapshot().fast_append() as update,
    ):
        update.append_data_file(deletes)
