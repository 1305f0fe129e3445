"""Generated days of telemetry: model versions, numeric and text features, with a registered training sample.

The numbers come in the shapes that telemetry has: normal, heavy-tailed, counts, float32, some with missing values.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from driftlake.config import Settings, load_settings
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.training.registration import register

NUMERIC, TEXT = 30, 10
DAY = date(2026, 1, 31)
ROW_GROUP = 122_880


def numeric_names(count: int = NUMERIC) -> list[str]:
    return [f"n{i:03d}" for i in range(count)]


def text_names(count: int = TEXT) -> list[str]:
    return [f"t{i:03d}" for i in range(count)]


def feature_columns(
    rows: int, generator: np.random.Generator, *, numeric: int = NUMERIC, text: int = TEXT
) -> dict[str, pa.Array]:
    """Features by name; every third number is log-normal, every fifth an integer, every tenth float32 with nulls."""
    columns: dict[str, pa.Array] = {}
    for i, name in enumerate(numeric_names(numeric)):
        if i % 10 == 9:
            columns[name] = pa.array(generator.normal(size=rows).astype(np.float32), mask=generator.random(rows) < 0.05)
        elif i % 5 == 4:
            columns[name] = pa.array(generator.poisson(200, rows))
        elif i % 3 == 2:
            columns[name] = pa.array(np.exp(generator.normal(0, 2, rows)))
        else:
            columns[name] = pa.array(generator.normal(i, 1 + i, rows))
    for i, name in enumerate(text_names(text)):
        columns[name] = text_column(5 * (i % 10 + 1) ** 2, rows, generator)
    return columns


def text_column(categories: int, rows: int, generator: np.random.Generator) -> pa.Array:
    """Text drawn from some categories, the second half as often as the first, the third a third as often."""
    weights = 1 / np.arange(1, categories + 1)
    drawn = generator.choice(categories, rows, p=weights / weights.sum()).astype(np.int32)
    names = pa.array([f"category-{j}" for j in range(categories)])
    return pa.DictionaryArray.from_arrays(pa.array(drawn), names).cast(pa.string())


def segment_name(segments: int) -> str:
    """Name of the column with this many segments."""
    return f"s{segments:04d}"


def prediction_columns(
    rows: int, generator: np.random.Generator, *, first_id: int = 0, day: date = DAY
) -> dict[str, pa.Array]:
    """The columns of a prediction other than features; each version scores every other row."""
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # UTC throughout
    seconds = generator.integers(0, 86_400, rows)
    return {
        "correlation_id": pa.array([f"{day:%Y%m%d}-{i:012d}" for i in range(first_id, first_id + rows)]),
        "event_time": pa.array(np.datetime64(start, "us") + seconds.astype("timedelta64[s]")),
        "model_id": pa.array(["wide"] * rows),
        "model_version": pa.array(np.where(generator.random(rows) < 0.5, "v1", "v2")),
        "score": pa.array(1 / (1 + np.exp(-generator.normal(-1, 1.5, rows)))),
        "latency_ms": pa.array(np.exp(generator.normal(3, 0.5, rows))),
    }


def write_project(
    root: Path,
    *,
    training_rows: int = 200_000,
    numeric: int = NUMERIC,
    text: int = TEXT,
    versions: Sequence[str] = ("v1", "v2"),
) -> Settings:
    """A project with versions trained on the same kind of data; telemetry is empty, nothing is registered."""
    generator = np.random.default_rng(1)
    (root / "telemetry").mkdir(parents=True)
    (root / "lineage").mkdir()
    score = pa.array(1 / (1 + np.exp(-generator.normal(-1, 1.5, training_rows))))
    features = feature_columns(training_rows, generator, numeric=numeric, text=text)
    pq.write_table(pa.table({**features, "score": score}), root / "training.parquet")
    for version in versions:
        record = {
            "model_id": "wide",
            "model_version": version,
            "training_run_id": f"run-{version}",
            "training_dataset_id": "wide-training",
            "training_data": "../training.parquet",
            "score": "score",
            "features": list(features),
        }
        (root / "lineage" / f"{version}.yaml").write_text(yaml.safe_dump(record))
    return load_settings(write_config(root, "driftlake"))


def write_config(root: Path, name: str, *, telemetry: dict[str, Any] | None = None, **sections: Any) -> Path:
    """A configuration of the project; several may share its data and warehouse."""
    path = root / f"{name}.yaml"
    content = {
        "telemetry": {"path": "telemetry", **(telemetry or {})},
        "lineage": {"path": "lineage"},
        "start": DAY - timedelta(days=400),
        "contracts": {"enabled": False},
        **sections,
    }
    path.write_text(yaml.safe_dump(content))
    return path


def register_versions(settings: Settings) -> None:
    """Register the versions of a project."""
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))


def day_folder(settings: Settings, day: date) -> Path:
    """The folder of a day's telemetry, created if it is not there."""
    folder = Path(settings.resolve(settings.telemetry.path)) / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_day(
    settings: Settings,
    rows: int,
    *,
    files: int = 1,
    day: date = DAY,
    numeric: int = NUMERIC,
    text: int = TEXT,
    segments: Sequence[int] = (),
) -> list[Path]:
    """Write a day of `rows` predictions in `files` files, a million rows in memory at a time.

    `segments` are the numbers of values of further text columns, called by `segment_name`.
    """
    folder = day_folder(settings, day)
    generator = np.random.default_rng(day.toordinal())
    paths = []
    for number in range(files):
        path = folder / f"part-{number:03d}.parquet"
        first, last = rows * number // files, rows * (number + 1) // files
        writer: pq.ParquetWriter | None = None
        for start in range(first, last, 1_000_000):
            size = min(1_000_000, last - start)
            columns = prediction_columns(size, generator, first_id=start, day=day)
            columns |= feature_columns(size, generator, numeric=numeric, text=text)
            columns |= {segment_name(count): text_column(count, size, generator) for count in segments}
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table, row_group_size=ROW_GROUP)
        if writer:
            writer.close()
        paths.append(path)
    return paths
