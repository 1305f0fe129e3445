"""Counts the labels of the training data once for each version, by score bin and with the losses of their scores.

Not here: labels of production (`driftlake.nightly.label_source`) and statistics from the counts (`driftlake.quality.measures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageFile, LineageRecord
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.maths.arrays import Floats
from driftlake.training.learning import TrainingColumns, TrainingData
from driftlake.training.targets import labels_and_scores

_SMALLEST_PROBABILITY = 1e-15


def count_reference_labels(warehouse: Warehouse, files: Sequence[LineageFile]) -> None:
    """Fill reference_label_profile for registered versions; targets that are classes or not numbers are not counted.

    Raises InputError if training data cannot be read any more.
    """
    found = warehouse.sql("select distinct model_id, model_version from reference_label_profile").to_pylist()
    counted = {(row["model_id"], row["model_version"]) for row in found}
    wanted = {(file.record.model_id, file.record.model_version): file for file in files if file.record.target}
    if not wanted.keys() - counted:
        return
    versions = load_versions(warehouse)
    for key in wanted.keys() - counted:
        file = wanted[key]
        rows = label_rows_of(TrainingData(file), file.record, versions[key])
        # another process may have counted it in the meantime
        warehouse.append_once({"reference_label_profile": rows}, "reference_label_profile", versions[key].owner)


def label_rows_of(data: TrainingColumns, record: LineageRecord, version: ModelVersion) -> pa.Table:
    """Rows of reference_label_profile of a version; one row without counts if no target can be counted."""
    labels, scores = labels_and_scores(data, record, version.label_meaning)
    bins = version.score_bins
    bin_ids = bins.bin_ids(scores) if bins and bins.grid else np.zeros(len(labels), dtype=np.int32)
    width = bins.bin_count if bins else 1
    is_binary = version.task == "binary"

    def total(weights: NDArray[Any]) -> Floats:
        return np.bincount(bin_ids, weights=weights, minlength=width).astype(np.float64, copy=False)

    counts = {
        "positive_count": total((labels == 1) & is_binary),
        "negative_count": total((labels == 0) & is_binary),
        "number_count": total(np.isfinite(labels) & (not is_binary)),
    }
    sums = {
        name: total(np.nan_to_num(loss)) if np.isfinite(loss).any() else np.full(width, np.nan)
        for name, loss in _losses(version, labels, scores).items()
    }
    kept = np.flatnonzero(np.sum(list(counts.values()), axis=0))
    # every version gets a row, so that none is counted again
    kept = kept if len(kept) else np.array([0])
    return pa.table(
        {
            "model_id": pa.repeat(version.model_id, len(kept)),
            "model_version": pa.repeat(version.model_version, len(kept)),
            "bin_id": kept,
            **{name: per_bin[kept].astype(np.int64) for name, per_bin in counts.items()},
            **{name: pa.array(per_bin[kept], from_pandas=True) for name, per_bin in sums.items()},
        },
        schema=arrow_schema("reference_label_profile"),
    )


def _losses(version: ModelVersion, labels: Floats, scores: Floats) -> dict[str, Floats]:
    """The losses that sql/labels/label_cohorts.sql sums, for each training row, shape (rows,); nan where undefined."""
    nothing = np.full(len(labels), np.nan)
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(scores), scores, np.nan) - labels
        probability = np.clip(np.where(np.isfinite(scores), scores, np.nan), 0, 1)
        is_label = (labels == 0) | (labels == 1)
    if version.task == "regression":
        quantile = version.quantile or 0.5
        return {
            "log_loss_sum": nothing,
            "squared_error_sum": error**2,
            "error_sum": error,
            "absolute_error_sum": np.abs(error),
            "quantile_loss_sum": np.maximum(-error * quantile, error * (1 - quantile)),
        }
    is_probability = is_label & (version.score_kind == "probability")
    given = np.maximum(np.where(labels == 1, probability, 1 - probability), _SMALLEST_PROBABILITY)
    return {
        "log_loss_sum": np.where(is_probability, -np.log(given), np.nan),
        "squared_error_sum": np.where(is_probability, (probability - labels) ** 2, np.nan),
        "error_sum": nothing,
        "absolute_error_sum": nothing,
        "quantile_loss_sum": nothing,
    }
