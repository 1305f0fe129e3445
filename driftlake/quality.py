"""How well the models rank and how honest their probabilities are: rows of model_quality.

Not here: the AUC itself (ranking.py) and which labels count as of a day (sql/quality_counts.sql).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from driftlake.arrays import Counts, Floats
from driftlake.binning import ABOVE, BELOW, FIRST_RANGE
from driftlake.config import QualitySettings
from driftlake.ranking import auc
from driftlake.versions import ModelVersion

_KEY = ("dt", "window_days", "model_id", "model_version", "deployment", "segment")
Numbers = TypeVar("Numbers", Counts, Floats)

_BIN_SUMS = ("positive_count", "negative_count", "score_sum")
_WINDOW_SUMS = ("log_loss_sum", "squared_error_sum")


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """Labels of several windows: per score bin, shape (windows, bins), or per window, shape (windows,)."""

    positive_count: Counts
    negative_count: Counts
    score_sum: Floats
    log_loss_sum: Floats
    squared_error_sum: Floats

    @property
    def label_count(self) -> Counts:
        """Labels per window, those of predictions without a score included."""
        total: Counts = (self.positive_count + self.negative_count).sum(axis=-1)
        return total


def _by_score(per_bin: Numbers) -> Numbers:
    """Bins in ascending order of score, predictions without one left out."""
    order = [BELOW, *range(FIRST_RANGE, per_bin.shape[-1]), ABOVE]
    return per_bin[..., order] if per_bin.shape[-1] > ABOVE else per_bin[..., :0]


def measure(
    windows: pa.Table,
    counts: pa.Table,
    versions: Mapping[tuple[str, str], ModelVersion],
    settings: QualitySettings,
) -> pa.Table:
    """Rows of model_quality.

    Parameters
    ----------
    windows : rows of sql/window_predictions.sql, one per window that has predictions
    counts : rows of sql/quality_counts.sql
    """
    bin_count = max((v.score_bins.bin_count for v in versions.values() if v.score_bins), default=1)
    labels = _labelled_scores(windows, counts, bin_count)
    statistics = [_auc(windows, labels, settings), *_probability_statistics(windows, labels, settings)]
    return pa.concat_tables([_ROW_SCHEMA.empty_table(), *(_rows(windows, labels, each) for each in statistics)])


@dataclass(frozen=True, slots=True)
class _Statistic:
    """Values of one statistic, shape (windows,); nan where it cannot be computed, then `reason` says why."""

    name: str
    value: Floats
    reason: list[str | None]
    intervals: Mapping[str, Floats]
    baseline: Floats | None = None


def _auc(windows: pa.Table, labels: LabelledScores, settings: QualitySettings) -> _Statistic:
    positives, negatives = _by_score(labels.positive_count), _by_score(labels.negative_count)
    measured = auc(positives, negatives)
    smallest = np.minimum(positives.sum(axis=-1), negatives.sum(axis=-1))
    is_enough = smallest >= settings.minimum_labels_per_class
    scored_count = (positives + negatives).sum(axis=-1)
    is_current = windows["has_predictions_on_last_day"].to_numpy().astype(bool)
    # what a version that predicts no more leaves behind is an ever smaller part of its window
    is_enough &= is_current
    reason = np.select(
        [is_enough, ~is_current, labels.label_count == 0, scored_count == 0, smallest == 0],
        [
            "",
            "no predictions on the day",
            "no labels have arrived for the window",
            "no scores to rank by",
            "labels of one class only",
        ],
        default=f"fewer than {settings.minimum_labels_per_class} labels of one class",
    )
    return _Statistic(
        "auc",
        np.where(is_enough, measured.value, np.nan),
        [text or None for text in reason.tolist()],
        {
            "confidence_low": np.where(is_enough, measured.confidence_low, np.nan),
            "confidence_high": np.where(is_enough, measured.confidence_high, np.nan),
            "binning_low": np.where(is_enough, measured.binning_low, np.nan),
            "binning_high": np.where(is_enough, measured.binning_high, np.nan),
        },
        windows["baseline_auc"].to_numpy().astype(float),
    )


def _probability_statistics(windows: pa.Table, labels: LabelledScores, settings: QualitySettings) -> list[_Statistic]:
    """Log loss and Brier score exactly, from their sums; expected calibration error from the bins (Naeini 2015)."""
    positives, negatives = _by_score(labels.positive_count), _by_score(labels.negative_count)
    scored_count = (positives + negatives).sum(axis=-1)
    misses = np.abs(positives - _by_score(labels.score_sum)).sum(axis=-1)
    is_probability = ~np.isnan(labels.log_loss_sum)
    is_current = windows["has_predictions_on_last_day"].to_numpy().astype(bool)
    needed = 2 * settings.minimum_labels_per_class
    is_enough = is_probability & is_current & (scored_count >= needed)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "log_loss": labels.log_loss_sum / scored_count,
            "brier_score": labels.squared_error_sum / scored_count,
            "calibration_error": misses / scored_count,
        }
    reason = np.select(
        [is_enough, ~is_current, labels.label_count == 0, ~is_probability],
        [
            "",
            "no predictions on the day",
            "no labels have arrived for the window",
            "the score is no probability, or missing",
        ],
        default=f"fewer than {needed} labels",
    )
    texts = [text or None for text in reason.tolist()]
    return [_Statistic(name, np.where(is_enough, value, np.nan), texts, {}) for name, value in values.items()]


def _labelled_scores(windows: pa.Table, counts: pa.Table, bin_count: int) -> LabelledScores:
    places = {key: i for i, key in enumerate(_keys(windows))}
    rows = np.array([places.get(key, -1) for key in _keys(counts)], dtype=np.int64)
    # labels can arrive for a window whose predictions were since removed
    counts = counts.filter(pa.array(rows >= 0))
    rows = rows[rows >= 0]
    bins = counts["bin_id"].to_numpy()
    per_bin: dict[str, Any] = {}
    for name in _BIN_SUMS:
        sums = counts[name].to_numpy()
        per_bin[name] = np.zeros((windows.num_rows, bin_count), dtype=sums.dtype)
        per_bin[name][rows, bins] = sums
    per_window: dict[str, Any] = {n: _sums_of_known(rows, counts[n], windows.num_rows) for n in _WINDOW_SUMS}
    return LabelledScores(**per_bin, **per_window)


def _keys(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in _KEY), strict=True))


def _sums_of_known(rows: Counts, column: pa.ChunkedArray, size: int) -> Floats:
    """Sum per window; nan where no row has a value."""
    values = column.to_numpy().astype(float)
    is_known = ~np.isnan(values)
    sums = np.bincount(rows[is_known], weights=values[is_known], minlength=size)
    return np.where(np.bincount(rows[is_known], minlength=size) > 0, sums, np.nan)


def _rows(windows: pa.Table, labels: LabelledScores, statistic: _Statistic) -> pa.Table:
    count = windows.num_rows
    predictions = windows["prediction_count"].to_numpy()
    nothing = np.full(count, np.nan)
    baseline = nothing if statistic.baseline is None else statistic.baseline
    numbers = {
        "value": statistic.value,
        **{name: statistic.intervals.get(name, nothing) for name in _INTERVALS},
        "coverage_share": labels.label_count / predictions,
        "baseline_value": baseline,
        "drop_from_baseline": baseline - statistic.value,
    }
    whole = {
        "prediction_count": predictions,
        "label_count": labels.label_count,
        "positive_count": labels.positive_count.sum(axis=-1),
        "negative_count": labels.negative_count.sum(axis=-1),
    }
    outcome = np.where(np.isnan(statistic.value), "insufficient_data", "measured")
    columns = {
        **{name: windows[name] for name in _KEY},
        "statistic": pa.repeat(pa.scalar(statistic.name), count),
        **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in numbers.items()},
        **{name: pa.array(values, pa.int64()) for name, values in whole.items()},
        "outcome": pa.array(outcome.tolist(), pa.string()),
        "reason": pa.array(statistic.reason, pa.string()),
    }
    return pa.table({name: columns[name] for name in _ROW_SCHEMA.names}).cast(_ROW_SCHEMA)


_INTERVALS = ("confidence_low", "confidence_high", "binning_low", "binning_high")
_ROW_SCHEMA = pa.schema(
    [
        ("dt", pa.date32()),
        ("model_id", pa.string()),
        ("model_version", pa.string()),
        ("deployment", pa.string()),
        ("segment", pa.string()),
        ("window_days", pa.int32()),
        ("statistic", pa.string()),
        ("value", pa.float64()),
        *((name, pa.float64()) for name in _INTERVALS),
        ("prediction_count", pa.int64()),
        ("label_count", pa.int64()),
        ("positive_count", pa.int64()),
        ("negative_count", pa.int64()),
        ("coverage_share", pa.float64()),
        ("baseline_value", pa.float64()),
        ("drop_from_baseline", pa.float64()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
    ]
)
