"""The performance of model versions as one series of days, and the evidence that it got worse: rows of performance.

A day that has most of its labels contributes its realised value. Any other day contributes the value that its scores promise,
corrected by the mean difference between realised and estimated values of recent days (prediction-powered inference;
Angelopoulos et al. 2023). Not here: the formulas (`driftlake.maths.clustered`, `driftlake.maths.sequential`), windows by
rows (`driftlake.quality.measures`), and what follows from the evidence (`driftlake.alerts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from itertools import compress
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import STATISTICS_OF_PERFORMANCE, ModelSettings, OwnMetric, Settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.grouping import grouped
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import STILL_JUDGED_DAYS, ModelVersion
from driftlake.maths import clustered
from driftlake.maths.arrays import Floats
from driftlake.maths.binning import MISSING, share_from
from driftlake.maths.clustered import FEWEST_DAYS, ClusteredMean
from driftlake.maths.cohort_expressions import COLUMNS, evaluated
from driftlake.maths.estimation import Calibration
from driftlake.maths.ranking import auc
from driftlake.maths.sequential import (
    DayNoise,
    day_differences,
    day_noise,
    loss_evidence,
    page_threshold,
    pooled_noise,
    shown_within_28_days,
)
from driftlake.quality.class_calibrations import ClassCalibrations, ClassProbabilities
from driftlake.quality.labelled_windows import CLASS_SCORE_BINS, Calibrations, ascending_bins, by_score_of

# Days that are read again every night. A loss that takes longer to show cannot be told from ordinary changes of the model.
LOOK_BACK_DAYS = 120
_QUERIES = ("performance_labels", "performance_predictions", "performance_classes", "performance_decisions")
# A day contributes its realised value once it has this share of the labels that it will ever have.
_MOST_LABELS = 0.8
# The share of predictions that ever gets a label is learned from days of at least this age.
_OLD_ENOUGH_DAYS = 28
# Days whose realised minus estimated values correct the estimates of the days without labels.
_CORRECTING_DAYS = 28
# Tolerances without models.<id>.tolerance: absolute for what the lineage states, as a share of the baseline for an error.
_STATED_TOLERANCE = 0.02
_ERROR_TOLERANCE_SHARE = 0.1
_SMALLEST_PROBABILITY = 1e-15
# The limit is lowered by this number of standard errors of the baseline, which is itself an estimate.
_BASELINE_ERRORS = 1.0
_KEY = ["model_id", "model_version", "deployment"]
# By statistic what is summed up of the training data.
_TRAINING_SUMS = {
    "log_loss": "log_loss_sum",
    "brier_score": "squared_error_sum",
    "mean_absolute_error": "absolute_error_sum",
}
# Smallest standard deviation of estimated days, as a share of that of realised days: the estimate itself may be wrong.
_SMALLEST_ESTIMATED_SHARE = 0.5
# Score bins in the AUC of a day: ties within them change it by about 0.0001.
_BINS = 100
# The first day of a loss is named from this share of the evidence that pages.
_SPEAKS_FOR_A_LOSS = 0.5
# Statistics between 0 and 1.
_SHARES = ("auc", "accuracy", "brier_score")

Days = NDArray[np.bool_]
# COLUMNS by name, each of shape (days, bins).
Columns = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class PerformanceCounts:
    """Rows of sql/performance_*.sql."""

    labels: pa.Table
    predictions: pa.Table
    classes: pa.Table
    decisions: pa.Table
    class_scores: pa.Table

    @classmethod
    def read(
        cls, query: Callable[[str], pa.Table], versions: Mapping[tuple[str, str], ModelVersion]
    ) -> PerformanceCounts:
        """Read them with a function that runs a query of sql/."""
        has_classes = any(version.classes for version in versions.values())
        # without classes there is nothing to read
        class_scores = (
            query("performance_class_scores") if has_classes else arrow_schema("class_score_profile").empty_table()
        )
        labels, predictions, classes, decisions = map(query, _QUERIES)
        return cls(labels, predictions, classes, decisions, class_scores)

    def by_group(self) -> Iterator[tuple[dict[str, str], PerformanceCounts]]:
        """Those of each version and deployment that has predictions."""
        tables = [getattr(self, name) for name in self.__slots__]
        groups = [grouped(table, _KEY) for table in tables]
        for key in sorted(groups[1]):
            found = (of_groups.get(key, table.slice(0, 0)) for of_groups, table in zip(groups, tables, strict=True))
            yield dict(zip(_KEY, key, strict=True)), PerformanceCounts(*found)


class Metric(Protocol):
    """A metric of some prediction days; `is_realised` says of each day whether it counts by labels, shape (days,)."""

    def values(self, is_realised: Days, window_days: int) -> Floats:
        """Daily values whose mean is about the metric, shape (days,)."""

    def pooled(self, is_realised: Days, days: slice) -> ClusteredMean:
        """The metric over some of the days."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """AUC, of several classes the mean of theirs: counts of shape (days, bins) by class, expected ones where known."""

    positives: Sequence[Floats]
    negatives: Sequence[Floats]
    expected_positives: Sequence[Floats]
    expected_negatives: Sequence[Floats]

    def values(self, is_realised: Days, window_days: int) -> Floats:
        """See Metric."""
        found = [
            clustered.daily_auc(*clustered.merged_bins(*each, _BINS), window_days=window_days)
            for each in self._counts(is_realised)
        ]
        return np.asarray(np.mean(found, axis=0))

    def pooled(self, is_realised: Days, days: slice) -> ClusteredMean:
        """See Metric."""
        return clustered.pooled_auc(
            [(positives[days], negatives[days]) for positives, negatives in self._counts(is_realised)]
        )

    def _counts(self, is_realised: Days) -> Iterator[tuple[Floats, Floats]]:
        chosen = is_realised[:, np.newaxis]
        for known_and_expected in zip(
            self.positives, self.negatives, self.expected_positives, self.expected_negatives, strict=True
        ):
            positives, negatives, expected_positives, expected_negatives = known_and_expected
            yield np.where(chosen, positives, expected_positives), np.where(chosen, negatives, expected_negatives)


@dataclass(frozen=True, slots=True)
class Mean:
    """A metric that is a mean over rows: sums and row counts of shape (days,), expected ones where known."""

    sums: Floats
    counts: Floats
    expected_sums: Floats
    expected_counts: Floats

    @classmethod
    def of(cls, known: Columns, expected: Columns, parts: Callable[[Columns], Sequence[Floats]]) -> Mean:
        """From counts of shape (days, bins); `parts` makes what is summed up, and the counts it is divided by, of such counts."""
        return cls(*(part.sum(axis=1) for columns in (known, expected) for part in parts(columns)))

    def values(self, is_realised: Days, window_days: int) -> Floats:
        """See Metric."""
        return clustered.daily_mean(*self._sums(is_realised), window_days=window_days)

    def pooled(self, is_realised: Days, days: slice) -> ClusteredMean:
        """See Metric."""
        sums, counts = self._sums(is_realised)
        return clustered.pooled_mean(sums[days], counts[days])

    def _sums(self, is_realised: Days) -> tuple[Floats, Floats]:
        return (
            np.where(is_realised, self.sums, self.expected_sums),
            np.where(is_realised, self.counts, self.expected_counts),
        )


def measure(
    counts: PerformanceCounts,
    versions: Mapping[tuple[str, str], ModelVersion],
    calibrations: Mapping[tuple[str, str], Calibrations],
    class_calibrations: Mapping[tuple[str, str], ClassCalibrations],
    settings: Settings,
    *,
    first_day: date,
    last_day: date,
) -> pa.Table:
    """Rows of performance of the nights from `first_day` to `last_day`; only versions with classes have class calibrations."""
    nights = days_between(first_day, last_day)
    rows: list[dict[str, Any]] = []
    tests: list[tuple[dict[str, Any], _Tested]] = []
    for key, counted in counts.by_group():
        version = versions[key["model_id"], key["model_version"]]
        model = settings.models.get(version.model_id)
        history = _History(counted, version, model, nights)
        learned = calibrations[version.model_id, version.model_version]
        of_classes = class_calibrations.get((version.model_id, version.model_version))
        standards = {statistic: _Standard.of(statistic, version, model) for statistic in STATISTICS_OF_PERFORMANCE}
        if model:
            standards |= {name: _Standard.of_own(metric) for name, metric in model.metrics.items()}
        for place, night in enumerate(nights):
            meanings = _Meanings(
                learned.as_of(night)[0], of_classes.as_of(night) if of_classes else ClassProbabilities()
            )
            known = history.as_of(place, night, meanings)
            if known is None:
                continue
            for statistic, metric in known.metrics.items():
                standard = standards[statistic]
                for row, test in _rows(statistic, metric, known, standard, settings.quality.headline_window_days):
                    rows.append({"dt": night, **key, **row})
                    if test is not None and key["deployment"] != "shadow":
                        tests.append((rows[-1], test))
    _add_evidence(tests, settings.false_pages_per_year)
    return pa.Table.from_pylist(rows, schema=arrow_schema("performance"))


@dataclass(frozen=True, slots=True)
class _Tested:
    """Daily values of one statistic on one night and what they are held against, larger is better: shape (days,)."""

    values: Floats
    is_estimated: Days
    # what was expected of every day
    estimates: Floats
    limit: float


@dataclass(frozen=True, slots=True)
class _Standard:
    """What a statistic is held against, and which values it can have.

    `baseline_error` is the standard error of the baseline.
    """

    baseline: float | None
    tolerance: float | None
    baseline_error: float = 0.0
    is_larger_better: bool = False
    lowest: float = 0.0
    highest: float = np.inf

    @classmethod
    def of(cls, statistic: str, version: ModelVersion, model: ModelSettings | None) -> _Standard:
        """The standard of a version, with the tolerance of its settings or the default tolerance."""
        labels = version.training_labels
        given: Mapping[str, float] = {str(name): value for name, value in model.tolerance.items()} if model else {}
        highest = 1.0 if statistic in _SHARES else np.inf
        if statistic == "auc":
            error = 0.0
            if labels and labels.positives.any() and labels.negatives.any():
                error = float(auc(by_score_of(labels.positives), by_score_of(labels.negatives)).standard_error)
            allowed = given.get(statistic, _STATED_TOLERANCE)
            return cls(version.baseline_auc, allowed, error, is_larger_better=True, highest=highest)
        if statistic == "accuracy":
            trained, error = _training_accuracy(version, model)
            stated, tolerance = version.baseline_accuracy, given.get(statistic)
            if stated is not None and tolerance is None:
                tolerance = _STATED_TOLERANCE
            return cls(trained if stated is None else stated, tolerance, error, is_larger_better=True, highest=highest)
        baseline = labels.mean(_TRAINING_SUMS[statistic]) if labels and statistic in _TRAINING_SUMS else None
        tolerance = given.get(statistic)
        if tolerance is None and statistic == "mean_absolute_error" and baseline:
            tolerance = _ERROR_TOLERANCE_SHARE * baseline
        return cls(baseline, tolerance, highest=highest)

    @classmethod
    def of_own(cls, metric: OwnMetric) -> _Standard:
        """The standard of a metric of the user."""
        return cls(
            metric.baseline,
            metric.tolerance,
            is_larger_better=metric.better == "higher",
            lowest=-np.inf,
        )


def _training_accuracy(version: ModelVersion, model: ModelSettings | None) -> tuple[float | None, float]:
    """Accuracy of a binary model on its training data at its decision cut, and its standard error; scores in a bin count as evenly spread."""
    cut, labels, bins = version.decision_cut(model), version.training_labels, version.score_bins
    if cut is None or labels is None or bins is None or not labels.scored_count:
        return None, 0.0
    above, positives, negatives = share_from(bins, cut), by_score_of(labels.positives), by_score_of(labels.negatives)
    accuracy = float((positives * above + negatives * (1 - above)).sum() / labels.scored_count)
    return accuracy, float(np.sqrt(accuracy * (1 - accuracy) / labels.scored_count))


class _Arriving:
    """Counts by prediction day and bin as they become known, night by night: arrays of shape (days, bins) by name.

    Bins are in ascending order of score, and the last is that of predictions without one.
    """

    def __init__(self, rows: pa.Table, names: Sequence[str], start: date, shape: tuple[int, int]) -> None:
        self._nights = rows["dt"].to_numpy()
        days = (rows["prediction_on"].to_numpy() - np.datetime64(start)).astype(np.int64)
        has_bins = "bin_id" in rows.column_names
        columns = _columns(shape[1])[rows["bin_id"].to_numpy()] if has_bins else np.zeros(len(days), np.int64)
        self._places = days, columns
        self._values = {name: np.nan_to_num(rows[name].to_numpy().astype(float)) for name in names}
        self._read = 0
        self.known = {name: np.zeros(shape) for name in names}

    def read(self, night: date) -> None:
        """Add what became known up to the end of a night; `rows` are in the order of the nights."""
        end = int(np.searchsorted(self._nights, np.datetime64(night), side="right"))
        new = slice(self._read, end)
        days, columns = self._places
        for name, values in self._values.items():
            np.add.at(self.known[name], (days[new], columns[new]), values[new])
        self._read = end


@dataclass(frozen=True, slots=True)
class _Meanings:
    """What the scores of a version mean on one night: the calibration of a binary model, and probabilities of classes."""

    calibration: Calibration | None
    classes: ClassProbabilities


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one version and deployment on one night, by the days that the night looks back to."""

    metrics: Mapping[str, Metric]
    label_counts: Floats
    # days that count by their labels
    is_realised: Days
    has_predictions: Days


class _History:
    """Counts of one version and deployment by day, as they become known night by night."""

    def __init__(
        self, counts: PerformanceCounts, version: ModelVersion, model: ModelSettings | None, nights: Sequence[date]
    ) -> None:
        self._version, self._cut = version, version.decision_cut(model)
        self._own_metrics = model.metrics if model else {}
        start = nights[0] - timedelta(days=LOOK_BACK_DAYS - 1)
        day_count = (nights[-1] - start).days + 1
        width = version.score_bins.bin_count if version.score_bins else 1
        names = "row_count", "score_sum", "at_cut_count"
        self._predictions = _per_bin(counts.predictions, names, start, (day_count, width))
        self._labels = _Arriving(counts.labels, COLUMNS, start, (day_count, width))
        self._decisions = _Arriving(counts.decisions, ("right_count", "decided_count"), start, (day_count, 1))
        shape = day_count, CLASS_SCORE_BINS
        self._classes = [
            _Arriving(rows, ("positive_count", "negative_count"), start, shape)
            for rows in _by_class(counts.classes, version)
        ]
        self._class_scores = [
            _per_bin(rows, ("row_count", "predicted_count"), start, shape)
            for rows in _by_class(counts.class_scores, version)
        ]

    def as_of(self, place: int, night: date, meanings: _Meanings) -> _Known | None:
        """What is known at the end of the night at a place; None if the version has not predicted of late."""
        for arriving in (self._labels, self._decisions, *self._classes):
            arriving.read(night)
        days = slice(place, place + LOOK_BACK_DAYS)
        prediction_counts = self._predictions["row_count"][days].sum(axis=1)
        if not prediction_counts[-STILL_JUDGED_DAYS:].any():
            return None
        label_counts = sum(
            self._labels.known[name][days].sum(axis=1) for name in ("positive_count", "negative_count", "number_count")
        )
        return _Known(
            dict(self._metrics(days, meanings)),
            label_counts,
            _has_most_labels(label_counts, prediction_counts),
            prediction_counts > 0,
        )

    def _metrics(self, days: slice, meanings: _Meanings) -> Iterator[tuple[str, Metric]]:
        if self._version.task == "regression":
            yield "mean_absolute_error", self._absolute_error(days)
        elif self._version.classes:
            yield from self._of_classes(days, meanings.classes)
        else:
            yield from self._of_scores(days, meanings.calibration)
        if self._own_metrics:
            known, expected = self._known(days), self._expected(days, meanings.calibration)
            for name, metric in self._own_metrics.items():
                yield name, Mean.of(known, expected, partial(evaluated, [metric.sum, metric.per]))

    def _of_scores(self, days: slice, calibration: Calibration | None) -> Iterator[tuple[str, Metric]]:
        known, expected = self._known(days), self._expected(days, calibration)
        if self._version.score_bins:
            sides = ([columns[name]] for columns in (known, expected) for name in ("positive_count", "negative_count"))
            yield "auc", Ranking(*sides)
        if self._version.score_kind == "probability":
            yield "log_loss", Mean.of(known, expected, partial(_per_label, "log_loss_sum"))
            yield "brier_score", Mean.of(known, expected, partial(_per_label, "squared_error_sum"))
        if self._cut is not None:
            yield "accuracy", Mean.of(known, expected, _right_decisions)

    def _known(self, days: slice) -> dict[str, Floats]:
        """COLUMNS of the labels that have come for predictions with a score, shape (days, bins)."""
        return {name: array[days, :-1] for name, array in self._labels.known.items()}

    def _expected(self, days: slice, calibration: Calibration | None) -> dict[str, Floats]:
        """COLUMNS as they are to be expected of the predictions of a binary model, shape (days, bins).

        Without a calibration nothing is expected.
        """
        predicted = {name: array[days, :-1] for name, array in self._predictions.items()}
        row_count, at_cut = predicted["row_count"], predicted["at_cut_count"]
        expected = {name: np.zeros_like(row_count) for name in COLUMNS}
        if calibration is None or self._version.task != "binary":
            return expected
        positives, negatives = row_count * calibration.probability, row_count * (1 - calibration.probability)
        expected |= {
            "positive_count": positives,
            "negative_count": negatives,
            "true_positive_count": at_cut * calibration.probability,
            "false_positive_count": at_cut * (1 - calibration.probability),
        }
        if self._version.score_kind == "probability":
            with np.errstate(divide="ignore", invalid="ignore"):
                score = np.nan_to_num(predicted["score_sum"] / row_count)
            score = np.clip(score, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
            expected["log_loss_sum"] = -positives * np.log(score) - negatives * np.log1p(-score)
            expected["squared_error_sum"] = positives * (1 - score) ** 2 + negatives * score**2
        return expected

    def _of_classes(self, days: slice, probabilities: ClassProbabilities) -> Iterator[tuple[str, Metric]]:
        """Expected of a prediction is that its label is each class with the probability of the score of the class."""
        sides = [
            [each.known[name][days, :-1] for each in self._classes] for name in ("positive_count", "negative_count")
        ]
        scored, predicted = (
            [each[name][days, :-1] for each in self._class_scores] for name in ("row_count", "predicted_count")
        )
        expected = _expected_labels(scored, probabilities.of_class)
        # a class without labels of either side has no realised AUC; without any labels all classes are estimated
        is_known = [side.any() and other.any() for side, other in zip(*sides, strict=True)]
        is_expected = [side.any() and other.any() for side, other in zip(*expected, strict=True)]
        is_counted = is_known if any(is_known) else is_expected
        if any(is_counted):
            yield "auc", Ranking(*(list(compress(side, is_counted)) for side in (*sides, *expected)))
        right, decided = (self._decisions.known[name][days, 0] for name in ("right_count", "decided_count"))
        hits, misses = (np.sum(side, axis=(0, 2)) for side in _expected_labels(predicted, probabilities.of_right))
        yield "accuracy", Mean(right, decided, hits, hits + misses)

    def _absolute_error(self, days: slice) -> Mean:
        """Expected of a prediction is the mean error of the labels known for its bin of scores."""
        sums, counts = (self._labels.known[name][days, :-1] for name in ("absolute_error_sum", "number_count"))
        predictions = self._predictions["row_count"][days, :-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            overall = sums.sum() / counts.sum()
            of_bin = np.where(counts.sum(axis=0) > 0, sums.sum(axis=0) / counts.sum(axis=0), overall)
        expected = np.nan_to_num(predictions * of_bin)
        has_any = float(counts.any())
        return Mean(sums.sum(axis=1), counts.sum(axis=1), expected.sum(axis=1), predictions.sum(axis=1) * has_any)


def _per_label(name: str, columns: Columns) -> Sequence[Floats]:
    return columns[name], columns["positive_count"] + columns["negative_count"]


def _right_decisions(columns: Columns) -> Sequence[Floats]:
    right = columns["true_positive_count"] + columns["negative_count"] - columns["false_positive_count"]
    return right, columns["positive_count"] + columns["negative_count"]


def _columns(width: int) -> NDArray[np.int64]:
    """Column of each bin: in ascending order of score, then predictions without one."""
    columns = np.empty(width, dtype=np.int64)
    columns[[*ascending_bins(width), MISSING]] = np.arange(width)
    return columns


def _by_class(rows: pa.Table, version: ModelVersion) -> list[pa.Table]:
    """Rows of each class of a version."""
    of_classes = grouped(rows, ["scored_class"])
    return [of_classes.get((name,), rows.slice(0, 0)) for name in version.class_names]


def _expected_labels(
    predictions: Sequence[Floats], probabilities: Floats | None
) -> tuple[Sequence[Floats], Sequence[Floats]]:
    """Expected positives and negatives of the predictions of each class, shape (days, bins); none without probabilities."""
    if probabilities is None:
        nothing = [np.zeros_like(of_class) for of_class in predictions]
        return nothing, nothing
    positives = [of_class * share for of_class, share in zip(predictions, probabilities, strict=True)]
    return positives, [of_class - side for of_class, side in zip(predictions, positives, strict=True)]


def _per_bin(rows: pa.Table, names: Sequence[str], start: date, shape: tuple[int, int]) -> dict[str, Floats]:
    days = (rows["dt"].to_numpy() - np.datetime64(start)).astype(np.int64)
    places = days, _columns(shape[1])[rows["bin_id"].to_numpy()]
    found = {}
    for name in names:
        found[name] = np.zeros(shape)
        found[name][places] = np.nan_to_num(rows[name].to_numpy().astype(float))
    return found


def _has_most_labels(label_counts: Floats, prediction_counts: Floats) -> Days:
    """Days that have most of the labels they will ever have, by the share that old days have, shape (days,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = label_counts / prediction_counts
    old = shares[: LOOK_BACK_DAYS - _OLD_ENOUGH_DAYS]
    old = old[np.isfinite(old)][:_OLD_ENOUGH_DAYS]
    final_share = min(float(np.median(old)), 1.0) if len(old) else 1.0
    return np.nan_to_num(shares) >= max(_MOST_LABELS * final_share, 1e-9)


@dataclass(frozen=True, slots=True)
class _Correction:
    """How far realised values are from estimated ones: the mean of late days, its standard error, and the sd of a day."""

    mean: float = 0.0
    standard_error: float = 0.0
    deviation: float = np.nan
    day_count: int = 0

    @classmethod
    def of(cls, differences: Floats) -> _Correction:
        """From the differences of days in their order; of too few nothing is learned."""
        if len(differences) < FEWEST_DAYS:
            return cls()
        late = differences[-_CORRECTING_DAYS:]
        variance = clustered.long_run_variance(differences)
        return cls(float(late.mean()), float(np.sqrt(variance / len(late))), float(np.sqrt(variance)), len(late))


def _rows(
    statistic: str, metric: Metric, known: _Known, standard: _Standard, window_days: int
) -> Iterator[tuple[dict[str, Any], _Tested | None]]:
    """Rows of one statistic on one night, that of the combined values with what is tested."""
    window = slice(-window_days, None)
    days = np.arange(len(known.is_realised))
    always, never = days >= 0, days < 0
    realised, estimated = metric.pooled(always, window), metric.pooled(never, window)
    by_label, by_estimate = metric.values(always, window_days), metric.values(never, window_days)
    differences = (by_label - by_estimate)[known.is_realised]
    correction = _Correction.of(differences[np.isfinite(differences)])
    values = metric.values(known.is_realised, window_days)
    values = np.where(known.is_realised, values, values + correction.mean)
    values[~known.has_predictions] = np.nan
    sign = 1 if standard.is_larger_better else -1
    tested = None
    if standard.baseline is not None and standard.tolerance is not None:
        slack = standard.tolerance + _BASELINE_ERRORS * standard.baseline_error
        estimates = sign * np.where(known.has_predictions, by_estimate + correction.mean, np.nan)
        uncertain = np.where(known.is_realised, 0, correction.standard_error)
        tested = _Tested(sign * values + uncertain, ~known.is_realised, estimates, sign * standard.baseline - slack)
    found = (
        ("realised", realised, None),
        ("estimated", _expected(estimated, correction), None),
        ("combined", _combined(metric.pooled(known.is_realised, window), known, values[window], correction), tested),
    )
    for basis, mean, test in found:
        if mean.day_count == 0:
            continue
        low, high = np.clip([mean.confidence_low, mean.confidence_high], standard.lowest, standard.highest)
        yield (
            {
                "statistic": statistic,
                "basis": basis,
                "window_days": window_days,
                "value": _number(mean.value),
                "confidence_low": _number(low),
                "confidence_high": _number(high),
                "standard_error": _number(mean.standard_error),
                "day_count": mean.day_count,
                "labelled_day_count": int(known.is_realised[window].sum()),
                "label_count": int(known.label_counts[window].sum()),
                "baseline_value": standard.baseline,
                "tolerance": standard.tolerance,
                "reason": None if np.isfinite(low) else _no_interval(mean),
            },
            test,
        )


def _expected(estimated: ClusteredMean, correction: _Correction) -> ClusteredMean:
    """An estimate with an interval for what the labels of its days will say, by how far they were from estimates before."""
    count = estimated.day_count
    if not count or not np.isfinite(correction.deviation):
        return ClusteredMean(estimated.value, np.nan, np.nan, np.nan, count)
    error = float(np.sqrt(correction.deviation**2 / count + correction.standard_error**2 + correction.mean**2))
    return ClusteredMean(
        estimated.value, error, *clustered.interval(estimated.value, error, correction.day_count), count
    )


def _combined(pooled: ClusteredMean, known: _Known, values: Floats, correction: _Correction) -> ClusteredMean:
    count = pooled.day_count
    if not count:
        return pooled
    is_estimated = ~known.is_realised[-len(values) :] & np.isfinite(values)
    share = is_estimated.sum() / count
    value = pooled.value + share * correction.mean
    of_estimates = 0.0 if not share else share * np.nan_to_num(correction.deviation) ** 2 / count
    error = float(np.sqrt(pooled.standard_error**2 + (share * correction.standard_error) ** 2 + of_estimates))
    return ClusteredMean(value, error, *clustered.interval(value, error, count), count)


def _no_interval(mean: ClusteredMean) -> str:
    if mean.day_count < FEWEST_DAYS:
        return f"no interval: fewer than {FEWEST_DAYS} days"
    return f"no interval: fewer than {FEWEST_DAYS} days with labels show the error of estimates"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _add_evidence(tests: Sequence[tuple[dict[str, Any], _Tested]], false_pages_per_year: float) -> None:
    """Evidence of a loss in the rows of what is tested, the budget of false pages split among the tests of a night."""
    if not tests:
        return
    rows = [row for row, _ in tests]
    values, is_estimated, estimates = (
        np.array([getattr(tested, name) for _, tested in tests]) for name in ("values", "is_estimated", "estimates")
    )
    limits = np.array([tested.limit for _, tested in tests])
    by_labels = _noise(rows, np.where(is_estimated, np.nan, values))
    by_estimates = _noise(rows, estimates)
    floor = np.nan_to_num(by_labels.deviation) * _SMALLEST_ESTIMATED_SHARE
    by_estimates = replace(by_estimates, deviation=np.fmax(by_estimates.deviation, floor))
    nights, counts = np.unique([row["dt"].toordinal() for row in rows], return_inverse=True, return_counts=True)[1:]
    thresholds = np.array([page_threshold(false_pages_per_year, count) for count in counts.tolist()])[nights]
    found = loss_evidence(values, limits, thresholds, by_labels, estimated=(is_estimated, by_estimates))
    evidence = np.nan_to_num(found.log_evidence[:, -1] / np.log(thresholds), nan=0.0, neginf=0.0)
    shown = shown_within_28_days(by_labels, thresholds)
    for (row, _), beyond in zip(tests, shown.tolist(), strict=True):
        row["detectable_loss"] = row["tolerance"] + beyond if np.isfinite(beyond) else None
    for row, of_row, began_at in zip(rows, np.maximum(evidence, 0).tolist(), found.began_at.tolist(), strict=True):
        row["loss_evidence"] = of_row
        if began_at >= 0 and of_row >= _SPEAKS_FOR_A_LOSS:
            row["loss_since_on"] = row["dt"] - timedelta(days=LOOK_BACK_DAYS - 1 - began_at)


def _noise(rows: Sequence[Mapping[str, Any]], values: Floats) -> DayNoise:
    """How the days of each test differ; while there are few, those of the other tests of its night and statistic count, too."""
    differences = day_differences(values)
    places: dict[tuple[date, str], list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault((row["dt"], row["statistic"]), []).append(place)
    deviation, autocorrelation, worth = np.full((3, len(rows)), np.nan)
    for members in places.values():
        if prior := pooled_noise(differences.of(members)):
            deviation[members], autocorrelation[members] = prior.deviation, prior.autocorrelation
            worth[members] = prior.day_count
    shrunk = day_noise(differences, prior=DayNoise(deviation, autocorrelation, worth))
    return replace(shrunk, day_count=differences.day_count)
