"""Training lineage: read lineage files, register versions once and for all, learn their bins, load them again.

A registered version never changes: what was promised then is what production is compared with. Not here: how bins are
learned (binning.py) and how rows are counted (kernel.py).
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.types as pat
from pydantic import BaseModel, ConfigDict, Field, model_validator

from driftlake import binning, kernel
from driftlake.binning import FeatureBins
from driftlake.config import ModelSettings, Settings, parse_yaml
from driftlake.errors import ConfigurationError, InputError, LineageConflictError
from driftlake.inputs import filesystem_of, open_parquet
from driftlake.warehouse import Warehouse

SCORE = "score"
_HASH_BLOCK_BYTES = 1 << 22


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class LabelDelay(_Section):
    """How long labels take, in days after the prediction."""

    p50_days: float = Field(ge=0)
    p95_days: float = Field(ge=0)
    max_days: float = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> LabelDelay:
        if not self.p50_days <= self.p95_days <= self.max_days:
            raise ValueError("p50_days, p95_days and max_days must not decrease")
        return self


class Baseline(_Section):
    """What the version achieved on held-out training data."""

    auc: float | None = Field(default=None, ge=0, le=1)


class LineageRecord(_Section):
    """One lineage file: what a model version was trained on and what it promises."""

    model_id: str
    model_version: str
    training_run_id: str
    training_dataset_id: str
    training_data: str
    target: str | None = None
    score: str | None = None
    score_kind: Literal["probability", "value"] = "probability"
    features: tuple[str, ...] | None = None
    label_delay: LabelDelay | None = None
    released_at: datetime | None = None
    baseline: Baseline = Baseline()
    feature_importance: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class LineageFile:
    """A record with the place of its training data made absolute."""

    path: str
    record: LineageRecord
    training_data: str


@dataclass(frozen=True)
class ModelVersion:
    """A registered version, as the nightly stages need it."""

    model_id: str
    model_version: str
    score_kind: str
    features: Mapping[str, FeatureBins]
    score_bins: FeatureBins | None
    baseline_auc: float | None = None
    reference_counts: Mapping[str, binning.Counts] = field(default_factory=dict)

    @property
    def score_grid(self) -> binning.Grid | None:
        """Grid of the score; None for a version without scores."""
        return self.score_bins.grid if self.score_bins else None


def read_lineage_file(location: str) -> LineageFile:
    """Read and validate a lineage file, local or s3://. Raises ConfigurationError."""
    filesystem, path = filesystem_of(location)
    try:
        with filesystem.open_input_stream(path) as stream:
            text = stream.read().decode()
    except OSError as error:
        raise ConfigurationError(f"lineage file {location} cannot be read: {error}") from error
    record = parse_yaml(LineageRecord, location, text)
    return LineageFile(location, record, _beside(location, record.training_data))


def read_lineage_folder(settings: Settings) -> list[LineageFile]:
    """Every *.yaml of the configured lineage folder, by name."""
    folder = settings.resolve(settings.lineage.path)
    filesystem, root = filesystem_of(folder)
    names = sorted(entry.base_name for entry in filesystem.get_file_info(pafs.FileSelector(root)))
    return [read_lineage_file(f"{folder}/{name}") for name in names if name.endswith((".yaml", ".yml"))]


def _beside(location: str, path: str) -> str:
    """`path` as seen from the folder of the file at `location`."""
    if "://" in path or path.startswith("/"):
        return path
    scheme, separator, inner = location.rpartition("://")
    return scheme + separator + posixpath.normpath(posixpath.join(posixpath.dirname(inner), path))


def register(warehouse: Warehouse, settings: Settings, files: Sequence[LineageFile]) -> list[LineageFile]:
    """Register the versions that are new; the ones already there must be unchanged. Returns the new ones.

    Raises LineageConflictError if a registered version or dataset differs, InputError if training data cannot be used.
    """
    registered = []
    for file in files:
        fingerprint = _fingerprint(file)
        if not _is_new(warehouse, file, fingerprint):
            continue
        warehouse.append(_learn(file, fingerprint, settings.models.get(file.record.model_id, ModelSettings())))
        registered.append(file)
    return registered


def load_versions(warehouse: Warehouse) -> dict[tuple[str, str], ModelVersion]:
    """Every registered version with its bins and reference counts."""
    bin_rows = _grouped(warehouse.sql("select * from feature_bins"))
    categories = _grouped(warehouse.sql("select * from feature_categories"))
    counts = _grouped(warehouse.sql("select * from reference_profile"))
    versions = {}
    for run in warehouse.sql("select * from training_runs order by model_id, model_version").to_pylist():
        key = (run["model_id"], run["model_version"])
        bins = {
            feature: FeatureBins.from_rows(rows, {c["category"]: c["bin_id"] for c in categories[*key, feature]})
            for (*owner, feature), rows in bin_rows.items()
            if tuple(owner) == key
        }
        versions[key] = ModelVersion(
            *key,
            score_kind=run["score_kind"],
            features={name: bins[name] for name in run["features"]},
            score_bins=bins.get(SCORE),
            baseline_auc=run["baseline_auc"],
            reference_counts={name: _dense(counts[*key, name], each.bin_count) for name, each in bins.items()},
        )
    return versions


def _grouped(table: pa.Table) -> defaultdict[tuple[str, ...], list[dict[str, Any]]]:
    groups: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        groups[row["model_id"], row["model_version"], row["feature"]].append(row)
    return groups


def _dense(rows: Sequence[Mapping[str, Any]], bin_count: int) -> binning.Counts:
    counts = kernel.no_counts(bin_count)
    for row in rows:
        counts[row["bin_id"]] = row["row_count"]
    return counts


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    dataset: str
    lineage: str


def _fingerprint(file: LineageFile) -> _Fingerprint:
    record = file.record.model_dump(mode="json", exclude={"training_data"})
    lineage = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    return _Fingerprint(_hash_files(file), lineage)


def _hash_files(file: LineageFile) -> str:
    digest = hashlib.sha256()
    for path in _training_paths(file):
        filesystem, inner = filesystem_of(path)
        with filesystem.open_input_stream(inner) as stream:
            while block := stream.read(_HASH_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _training_paths(file: LineageFile) -> list[str]:
    """The training file, or every *.parquet of the training folder in order."""
    filesystem, root = filesystem_of(file.training_data)
    info = filesystem.get_file_info(root)
    if info.type == pafs.FileType.NotFound:
        raise InputError(
            f"{file.path}: training_data: there is no {file.training_data}",
            hint="the path is relative to the lineage file",
        )
    if info.type == pafs.FileType.File:
        return [file.training_data]
    entries = filesystem.get_file_info(pafs.FileSelector(root, recursive=True))
    found = sorted(entry.path.removeprefix(root) for entry in entries if entry.extension == "parquet")
    if not found:
        raise InputError(f"{file.path}: training_data: {file.training_data} has no Parquet file")
    return [file.training_data + path for path in found]


def _is_new(warehouse: Warehouse, file: LineageFile, fingerprint: _Fingerprint) -> bool:
    record = file.record
    for run in warehouse.sql("select * from training_runs").to_pylist():
        same_version = (run["model_id"], run["model_version"]) == (record.model_id, record.model_version)
        if (
            run["training_dataset_id"] == record.training_dataset_id
            and run["dataset_fingerprint"] != fingerprint.dataset
        ):
            raise LineageConflictError(
                f"{file.path}: training dataset {record.training_dataset_id} was registered with fingerprint"
                f" {run['dataset_fingerprint']}, {file.training_data} now has {fingerprint.dataset}",
                hint="restore the data, or give the changed data a new training_dataset_id and model_version",
            )
        if same_version and run["lineage_fingerprint"] != fingerprint.lineage:
            raise LineageConflictError(
                f"{file.path}: {record.model_id} {record.model_version} was registered with other contents"
                f" (lineage fingerprint {run['lineage_fingerprint']}, now {fingerprint.lineage})",
                hint="restore the file, or register the change as a new model_version",
            )
        if same_version:
            return False
    return True


def _learn(file: LineageFile, fingerprint: _Fingerprint, corrections: ModelSettings) -> dict[str, pa.Table]:
    """Rows of the lineage tables of a new version."""
    record = file.record
    data = _TrainingData(file)
    features = record.features or tuple(
        name for name in data.columns if name not in {record.target, record.score, "correlation_id"}
    )
    _require_columns(file, data, features)
    learned = [_learn_feature(file, data, name, corrections) for name in features]
    learned += _learn_score(file, data)
    owner = {"model_id": record.model_id, "model_version": record.model_version}
    run = {
        **owner,
        "training_run_id": record.training_run_id,
        "training_dataset_id": record.training_dataset_id,
        "training_data": file.training_data,
        "dataset_fingerprint": fingerprint.dataset,
        "lineage_fingerprint": fingerprint.lineage,
        "row_count": data.row_count(),
        "target": record.target,
        "score": record.score,
        "score_kind": record.score_kind,
        "features": list(features),
        **{f"label_delay_{name}": value for name, value in _delay(record).items()},
        "baseline_auc": record.baseline.auc,
        "feature_importance": json.dumps(record.feature_importance) if record.feature_importance else None,
        "released_at": record.released_at,
        "registered_at": datetime.now(UTC),
    }
    rows: dict[str, list[dict[str, Any]]] = {"training_runs": [run]}
    for item in learned:
        named = {**owner, "feature": item.bins.feature}
        rows.setdefault("feature_bins", []).extend({**owner, **row} for row in item.bins.rows())
        rows.setdefault("feature_categories", []).extend({**named, **row} for row in item.categories)
        if item.counts is not None:
            rows.setdefault("reference_profile", []).extend(
                {**named, "bin_id": bin_id, "row_count": count}
                for bin_id, count in enumerate(item.counts.bins.tolist())
                if count
            )
            rows.setdefault("reference_stats", []).append({**named, **item.counts.stats(item.bins)})
    return {table: _table(content) for table, content in rows.items() if content}


def _delay(record: LineageRecord) -> dict[str, float | None]:
    delay = record.label_delay
    return {name: getattr(delay, name) if delay else None for name in LabelDelay.model_fields}


@dataclass(frozen=True, slots=True)
class _Learned:
    bins: FeatureBins
    counts: kernel.FeatureCounts | None
    categories: Sequence[dict[str, Any]] = ()


class _TrainingData:
    """The training Parquet, read a column at a time."""

    def __init__(self, file: LineageFile) -> None:
        self._file = file
        self._paths = _training_paths(file)
        with self._explained("it"), open_parquet(self._paths[0]) as first:
            self.columns: list[str] = first.schema_arrow.names

    def row_count(self) -> int:
        """Rows over all files."""
        with self._explained("it"):
            return sum(self._rows_of(path) for path in self._paths)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of all files."""
        with self._explained(f"column {name}"):
            parts = [self._read(path, name) for path in self._paths]
            return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=parts[0].type)

    @staticmethod
    def _rows_of(path: str) -> int:
        with open_parquet(path) as parquet:
            return int(parquet.metadata.num_rows)

    @staticmethod
    def _read(path: str, name: str) -> pa.ChunkedArray:
        with open_parquet(path) as parquet:
            return parquet.read(columns=[name]).column(name)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, KeyError) as error:
            raise InputError(f"{self._file.training_data}: {what} cannot be read: {error}") from error


def _require_columns(file: LineageFile, data: _TrainingData, features: Sequence[str]) -> None:
    asked = [*features, *(name for name in (file.record.target, file.record.score) if name)]
    if absent := [name for name in asked if name not in data.columns]:
        raise InputError(
            f"{file.training_data} has no column {', '.join(absent)}, which {file.path} names",
            hint=f"it has {', '.join(data.columns)}",
        )
    if SCORE in features:
        raise InputError(f"{file.path}: a feature cannot be called '{SCORE}', which is the name of the prediction")


def _learn_feature(file: LineageFile, data: _TrainingData, name: str, corrections: ModelSettings) -> _Learned:
    column = data.column(name)
    if kernel.unsupported(column.type):
        raise InputError(
            f"{file.training_data}: feature {name} has type {column.type}, which cannot be binned",
            hint="leave it out of `features` in the lineage file, or store it as number, text or boolean",
        )
    if _is_categorical(column, name, corrections):
        return _learn_categories(name, column)
    values = kernel.learnable_values(column)
    if not len(values):
        raise InputError(
            f"{file.training_data}: feature {name} has no finite value, so there is nothing to learn bins from",
            hint="leave it out of `features` in the lineage file",
        )
    bins = binning.learn_numeric_bins(name, values, is_integer=pat.is_integer(column.type))
    return _Learned(bins, kernel.count_column(column, bins))


def _is_categorical(column: pa.ChunkedArray, name: str, corrections: ModelSettings) -> bool:
    if name in corrections.categorical:
        return True
    if name in corrections.numeric:
        return False
    if pat.is_integer(column.type):
        return len(column.drop_null().unique()) <= binning.MAX_INTEGER_CATEGORIES
    return not kernel.is_numeric(column.type)


def _learn_categories(name: str, column: pa.ChunkedArray) -> _Learned:
    counted = kernel.category_counts(column)
    bins = binning.learn_category_bins(name, list(counted), np.array(list(counted.values()), dtype=np.int64))
    known = bins.categories or {}
    rows = [{"category": c, "bin_id": bin_id, "row_count": counted[c]} for c, bin_id in known.items()]
    return _Learned(bins, kernel.count_column(column, bins), rows)


def _learn_score(file: LineageFile, data: _TrainingData) -> list[_Learned]:
    """Bins of the score; without training scores a probability still has bins, but no reference."""
    record = file.record
    column = data.column(record.score) if record.score else None
    if record.score_kind == "probability":
        bins = binning.probability_bins(SCORE)
        if column is None:
            return [_Learned(bins, None)]
        counts = kernel.count_column(column, bins)
        return [_Learned(binning.with_coarse_bins(bins, counts.bins), counts)]
    if column is None:
        return []
    values = kernel.learnable_values(column)
    bins = binning.learn_numeric_bins(SCORE, values, is_integer=False, kind="score")
    return [_Learned(bins, kernel.count_column(column, bins))]


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
