"""Quality from known labels and, before labels arrive, estimated from scores: rows of model_quality.

Not here: the formulas (`driftlake.maths.ranking`, `driftlake.maths.confusion`, `driftlake.maths.estimation`), gathering
counts into arrays (`driftlake.quality.labelled_windows`) and which labels count as of a day (sql/quality/quality_counts.sql).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake.config import ModelSettings, QualitySettings
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import ModelVersion, TrainingLabels
from driftlake.maths.arrays import Floats
from driftlake.maths.confusion import macro_auc, macro_f1
from driftlake.maths.estimation import Estimate, Estimator
from driftlake.maths.ranking import auc, wilson_interval
from driftlake.quality.labelled_windows import (
    KEY,
    Calibrations,
    ClassCounts,
    LabelledWindows,
    QualityCounts,
    by_version,
)

_NO_PREDICTIONS, _NO_LABELS = "no predictions on the day", "no labels have arrived for the window"


@dataclass(frozen=True, slots=True)
class _Statistic:
    """Values of one statistic, shape (windows,); where it cannot be computed they are nan and `reason` says why.

    `worse` is the sign of a change for the worse, 0 if neither direction is worse.
    """

    name: str
    value: Floats
    reason: NDArray[np.str_]
    intervals: Mapping[str, Floats] = field(default_factory=dict)
    baseline: float | None = None
    worse: Literal[-1, 0, 1] = 0


# Share of predictions or labels with a repeated correlation id from which values get a remark; a few retries do no harm.
SMALLEST_REPEATED_SHARE = 0.01


def measure(
    counts: QualityCounts,
    versions: Mapping[tuple[str, str], ModelVersion],
    calibrations: Mapping[tuple[str, str], Calibrations],
    settings: QualitySettings,
    models: Mapping[str, ModelSettings],
) -> pa.Table:
    """Rows of model_quality for every window."""
    tables = [arrow_schema("model_quality").empty_table()]
    for windows in by_version(counts, versions, calibrations):
        cut = windows.version.decision_cut(models.get(windows.version.model_id))
        tables += [_rows(windows, statistic, settings) for statistic in _statistics(windows, settings, cut)]
    return pa.concat_tables(tables)


def _statistics(windows: LabelledWindows, settings: QualitySettings, cut: float | None) -> Iterator[_Statistic]:
    if windows.version.task == "regression":
        yield from _errors(windows, settings)
        return
    if windows.classes:
        yield _macro_auc(windows, windows.classes, settings)
        yield from _class_decisions(windows, windows.classes, settings)
        return
    yield _auc(windows, settings)
    yield from _losses(windows, settings)
    yield from _decisions(windows, settings, cut)
    yield _positive_rate(windows, settings)
    yield from _estimates(windows, cut)


def _auc(windows: LabelledWindows, settings: QualitySettings) -> _Statistic:
    positives, negatives = windows.by_score("positive_count"), windows.by_score("negative_count")
    measured = auc(positives, negatives)
    smallest = np.minimum(positives.sum(axis=-1), negatives.sum(axis=-1))
    is_enough, reason = _judged(
        windows,
        smallest >= settings.minimum_labels_per_class,
        {"no scores to rank by": windows.scored_count == 0, "labels of one class only": smallest == 0},
        f"fewer than {settings.minimum_labels_per_class} labels of one class",
    )
    intervals = {
        name: np.where(is_enough, getattr(measured, name), np.nan)
        for name in ("confidence_low", "confidence_high", "binning_low", "binning_high")
    }
    value = np.where(is_enough, measured.value, np.nan)
    return _Statistic("auc", value, reason, intervals, windows.version.baseline_auc, -1)


def _losses(windows: LabelledWindows, settings: QualitySettings) -> Iterator[_Statistic]:
    """Log loss and Brier score exactly, from their sums; expected calibration error from the bins (Naeini 2015)."""
    misses = np.abs(windows.by_score("positive_count") - windows.by_score("score_sum")).sum(axis=-1)
    needed = 2 * settings.minimum_labels_per_class
    log_loss_sum, squared_error_sum = windows.sums["log_loss_sum"], windows.sums["squared_error_sum"]
    is_probability = ~np.isnan(log_loss_sum)
    is_enough, reason = _judged(
        windows,
        is_probability & (windows.scored_count >= needed),
        {"the score is not a probability, or missing": ~is_probability},
        f"fewer than {needed} labels",
    )
    for name, total, baseline in (
        ("log_loss", log_loss_sum, _training_mean(windows.version, "log_loss_sum")),
        ("brier_score", squared_error_sum, _training_mean(windows.version, "squared_error_sum")),
        ("calibration_error", misses, None),
    ):
        yield _Statistic(name, _ratio(total, windows.scored_count, is_enough), reason, baseline=baseline, worse=1)


def _decisions(windows: LabelledWindows, settings: QualitySettings, cut: float | None) -> Iterator[_Statistic]:
    """Quality of the predictions as decisions: scores of at least the cut are positive."""
    true_positives, false_positives = windows.sums["true_positive_count"], windows.sums["false_positive_count"]
    positives = windows.by_score("positive_count").sum(axis=-1)
    negatives = windows.by_score("negative_count").sum(axis=-1)
    needed = 2 * settings.minimum_labels_per_class
    is_decided = np.full(len(positives), cut is not None) & ~np.isnan(true_positives)
    is_enough, reason = _judged(
        windows,
        is_decided & (windows.scored_count >= needed),
        {"the model has no decision_cut": ~is_decided},
        f"fewer than {needed} labels",
    )
    right = true_positives + negatives - false_positives
    for name, hits, trials in (
        ("accuracy", right, positives + negatives),
        ("precision", true_positives, true_positives + false_positives),
        ("recall", true_positives, positives),
    ):
        low, high = wilson_interval(hits, trials)
        intervals = {"confidence_low": low, "confidence_high": high}
        kept = {side: np.where(is_enough & (trials > 0), bound, np.nan) for side, bound in intervals.items()}
        texts = np.where(is_enough & (trials == 0), "the denominator is zero", reason)
        yield _Statistic(name, _ratio(hits, trials, is_enough), texts, kept)
    both = true_positives + false_positives + positives
    texts = np.where(is_enough & (both == 0), "the denominator is zero", reason)
    yield _Statistic("f1_score", _ratio(2 * true_positives, both, is_enough), texts)


def _positive_rate(windows: LabelledWindows, settings: QualitySettings) -> _Statistic:
    """Share of positive labels, with that of the training data as baseline."""
    positives = windows.counts["positive_count"].sum(axis=-1)
    needed = 2 * settings.minimum_labels_per_class
    is_enough, reason = _judged(windows, windows.label_count >= needed, {}, f"fewer than {needed} labels")
    low, high = wilson_interval(positives, windows.label_count)
    intervals = {
        "confidence_low": np.where(is_enough, low, np.nan),
        "confidence_high": np.where(is_enough, high, np.nan),
    }
    value = _ratio(positives, windows.label_count, is_enough)
    return _Statistic("positive_rate", value, reason, intervals, _training_rate(windows.version.training_labels))


def _estimates(windows: LabelledWindows, cut: float | None) -> Iterator[_Statistic]:
    """Estimates of the statistics that the labels of all predictions of the window will give."""
    known = [place for place, calibration in enumerate(windows.calibrations) if calibration is not None]
    predictions = windows.by_score("row_count")
    estimator = Estimator(
        predictions[known],
        windows.by_score("prediction_score_sum")[known],
        [calibration for calibration in windows.calibrations if calibration is not None],
        windows.keys["day_count"].to_numpy()[known],
        windows.learned_share[known],
    )
    is_enough = np.zeros(len(predictions), dtype=bool)
    is_enough[known] = True
    reason = np.select(
        [~windows.is_current, predictions.sum(axis=-1) == 0, ~is_enough, windows.is_calibrated_on_training],
        [_NO_PREDICTIONS, "no scores", "too few labels to calibrate the scores", "calibrated on the training data"],
        default="",
    )
    is_enough &= windows.is_current & (predictions.sum(axis=-1) > 0)
    estimates: dict[str, tuple[Estimate, float | None, Literal[-1, 0, 1]]] = {
        "estimated_auc": (estimator.auc(), windows.version.baseline_auc, -1),
        "estimated_positive_rate": (estimator.positive_rate(), _training_rate(windows.version.training_labels), 0),
    }
    if cut is not None:
        above = np.broadcast_to(windows.share_above(cut), predictions[known].shape)
        estimates["estimated_accuracy"] = (estimator.accuracy(above), None, -1)
    if windows.version.score_kind == "probability":
        baseline = _training_mean(windows.version, "log_loss_sum")
        estimates["estimated_log_loss"] = (estimator.log_loss(), baseline, 1)
    for name, (estimate, baseline, worse) in estimates.items():
        value, low, high = (np.full(len(predictions), np.nan) for _ in range(3))
        value[known], low[known], high[known] = estimate.value, estimate.confidence_low, estimate.confidence_high
        intervals = {
            "confidence_low": np.where(is_enough, low, np.nan),
            "confidence_high": np.where(is_enough, high, np.nan),
        }
        yield _Statistic(name, np.where(is_enough, value, np.nan), reason, intervals, baseline, worse)


def _errors(windows: LabelledWindows, settings: QualitySettings) -> Iterator[_Statistic]:
    """Errors of a regression, score - label, from their sums; the intervals are those of means."""
    sums, count = windows.sums, windows.scored_count
    needed = 2 * settings.minimum_labels_per_class
    is_known = ~np.isnan(sums["error_sum"])
    is_enough, reason = _judged(
        windows, is_known & (count >= needed), {"no scores to compare with": ~is_known}, f"fewer than {needed} labels"
    )
    mean_square = _ratio(sums["squared_error_sum"], count, is_enough)
    baselines = {name: _training_mean(windows.version, f"{name}_sum") for name in _ERRORS}
    for name, statistic in _ERRORS.items():
        value = _ratio(sums[f"{name}_sum"], count, is_enough)
        worse: Literal[0, 1] = 1
        intervals: dict[str, Floats] = {}
        if name in {"error", "absolute_error"}:
            width = 1.96 * np.sqrt(np.maximum(mean_square - value**2, 0) / np.maximum(count, 1))
            intervals = {"confidence_low": value - width, "confidence_high": value + width}
            worse = 1 if name == "absolute_error" else 0
        baseline = baselines[name]
        if name == "squared_error":
            value, baseline = np.sqrt(value), None if baseline is None else baseline**0.5
        yield _Statistic(statistic, value, reason, intervals, baseline, worse)


# sums of errors, and the statistics that are their means
_ERRORS = {
    "absolute_error": "mean_absolute_error",
    "squared_error": "root_mean_squared_error",
    "error": "mean_error",
    "quantile_loss": "quantile_loss",
}


def _macro_auc(windows: LabelledWindows, classes: ClassCounts, settings: QualitySettings) -> _Statistic:
    """Mean over the classes with enough labels of the class and of other classes."""
    smallest = np.minimum(classes.scored, classes.of_others)
    scored_count = (classes.scored + classes.of_others).sum(axis=-1)
    is_counted = smallest >= settings.minimum_labels_per_class
    counted_count, class_count = is_counted.sum(axis=-1), is_counted.shape[-1]
    is_enough, reason = _judged(
        windows,
        counted_count > 0,
        {
            "no scores of the classes: see telemetry.class_scores": scored_count == 0,
            "labels of one class only": (smallest == 0).all(axis=-1),
        },
        f"no class with at least {settings.minimum_labels_per_class} labels and as many of other classes",
    )
    measured = macro_auc(classes.aucs, is_counted)
    intervals = {name: np.where(is_enough, getattr(measured, name), np.nan) for name in _INTERVALS}
    partial = np.array([f"mean over {count} of {class_count} classes" for count in counted_count], dtype=str)
    reason = np.where(is_enough & (counted_count < class_count), partial, reason)
    value = np.where(is_enough, measured.value, np.nan)
    return _Statistic("auc", value, reason, intervals, windows.version.baseline_auc, -1)


def _class_decisions(windows: LabelledWindows, classes: ClassCounts, settings: QualitySettings) -> Iterator[_Statistic]:
    """Quality of the predicted classes; predictions without a class are left out."""
    decided, right = classes.labelled.sum(axis=-1), classes.hits.sum(axis=-1)
    needed = 2 * settings.minimum_labels_per_class
    is_enough, reason = _judged(
        windows, decided >= needed, {"no predicted_class": decided == 0}, f"fewer than {needed} labels"
    )
    low, high = wilson_interval(right, decided)
    intervals = {"confidence_low": low, "confidence_high": high}
    kept = {side: np.where(is_enough, bound, np.nan) for side, bound in intervals.items()}
    yield _Statistic("accuracy", _ratio(right, decided, is_enough), reason, kept)
    f1_score = macro_f1(classes.hits, classes.predicted, classes.labelled)
    yield _Statistic("f1_score", np.where(is_enough, f1_score, np.nan), reason)


def _judged(
    windows: LabelledWindows,
    is_enough: NDArray[np.bool_],
    reasons: Mapping[str, NDArray[np.bool_]],
    otherwise: str,
) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """Outcome of each window, with the reason if it cannot be judged."""
    # a version that no longer predicts has an ever smaller part of its window
    is_enough = is_enough & windows.is_current
    conditions = [is_enough, ~windows.is_current, windows.label_count == 0, *reasons.values()]
    return is_enough, np.select(conditions, ["", _NO_PREDICTIONS, _NO_LABELS, *reasons], default=otherwise)


def _ratio(sums: NDArray[Any], counts: NDArray[Any], is_enough: NDArray[np.bool_]) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(is_enough & (counts > 0), sums / counts, np.nan)


def _training_rate(labels: TrainingLabels | None) -> float | None:
    total = labels.positives.sum() + labels.negatives.sum() if labels else 0
    return float(labels.positives.sum() / total) if labels and total else None


def _training_mean(version: ModelVersion, name: str) -> float | None:
    return version.training_labels.mean(name) if version.training_labels else None


def with_doubts(rows: pa.Table, repeated_ids: pa.Table) -> pa.Table:
    """Rows of model_quality with a remark on values from labels if correlation ids repeat.

    `repeated_ids` are rows of sql/quality/repeated_ids.sql. Its shares are over all models, because the checks of a day do not distinguish models.
    """
    doubts = {
        (row["dt"], row["window_days"]): (
            "correlation ids repeat, so labels may be about other predictions:"
            f" {row['repeated_prediction_share']:.1%} of all predictions repeat an id of their day,"
            f" {row['ambiguous_label_share']:.1%} of all labels match predictions of several days"
        )
        for row in repeated_ids.to_pylist()
    }
    if not doubts:
        return rows
    columns = (rows[name].to_pylist() for name in ("dt", "window_days", "statistic", "outcome", "reason"))
    reasons = [
        doubts.get((dt, window_days))
        if reason is None and outcome == "measured" and not statistic.startswith("estimated_")
        else reason
        for dt, window_days, statistic, outcome, reason in zip(*columns, strict=True)
    ]
    return rows.set_column(rows.schema.get_field_index("reason"), "reason", pa.array(reasons, pa.string()))


def with_days_as_clusters(rows: pa.Table, performance: pa.Table) -> pa.Table:
    """Rows of model_quality with intervals that treat days as clusters where `performance` has them: windows of at least 8 days."""
    known = {
        tuple(row[name] for name in _PERFORMED): (
            row["confidence_low"] - row["value"],
            row["confidence_high"] - row["value"],
        )
        for row in performance.filter(
            (pc.field("basis") == "realised") & pc.field("confidence_low").is_valid()
        ).to_pylist()
    }
    windows_days = pc.unique(performance["window_days"])
    is_known = pc.and_(pc.equal(rows["segment"], "all"), pc.is_in(rows["window_days"], windows_days))
    places = pc.indices_nonzero(pc.and_(is_known, pc.is_valid(rows["value"])))
    lows, highs, units = (rows[name].to_pylist() for name in _INTERVAL)
    for place, row in zip(
        places.to_pylist(), rows.select([*_PERFORMED, "value"]).take(places).to_pylist(), strict=True
    ):
        reach = known.get(tuple(row[name] for name in _PERFORMED))
        if reach is not None:
            lows[place], highs[place] = (row["value"] + side for side in reach)
            units[place] = "days"
    for name, values in zip(_INTERVAL, (lows, highs, units), strict=True):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.array(values, rows.schema.field(name).type))
    return rows


_PERFORMED = ("dt", "window_days", "model_id", "model_version", "deployment", "statistic")
_INTERVAL = ("confidence_low", "confidence_high", "interval_unit")


def _rows(windows: LabelledWindows, statistic: _Statistic, settings: QualitySettings) -> pa.Table:
    size = len(windows.label_count)
    nothing = np.full(size, np.nan)
    baseline = nothing if statistic.baseline is None else np.full(size, statistic.baseline)
    numbers = {
        "value": statistic.value,
        **{name: statistic.intervals.get(name, nothing) for name in _INTERVALS},
        "coverage_share": windows.label_count / windows.prediction_count,
        "baseline_value": baseline,
        "drop_from_baseline": statistic.worse * (statistic.value - baseline) if statistic.worse else nothing,
    }
    whole = {
        "prediction_count": windows.prediction_count,
        "label_count": windows.label_count,
        "positive_count": windows.counts["positive_count"].sum(axis=-1),
        "negative_count": windows.counts["negative_count"].sum(axis=-1),
    }
    outcome = np.where(np.isnan(statistic.value), "insufficient_data", "measured")
    unit = "days" if statistic.name.startswith("estimated_") else "rows"
    columns = {
        **{name: windows.keys[name] for name in KEY},
        "statistic": pa.repeat(pa.scalar(statistic.name), size),
        **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in numbers.items()},
        **{name: pa.array(values, pa.int64()) for name, values in whole.items()},
        "outcome": pa.array(outcome.tolist(), pa.string()),
        "reason": pa.array([text or None for text in statistic.reason.tolist()], pa.string()),
        "interval_unit": pa.array(
            [None if is_missing else unit for is_missing in np.isnan(numbers["confidence_low"])], pa.string()
        ),
        "minimum_class_count": pa.repeat(
            pa.scalar(settings.minimum_labels_per_class if statistic.name == "auc" else None, pa.int64()), size
        ),
    }
    return pa.table(columns, schema=arrow_schema("model_quality"))


_INTERVALS = ("confidence_low", "confidence_high", "binning_low", "binning_high")
