"""Daily performance of model versions, and the evidence that it has become worse: the rows of `performance`.

A day that has most of its labels contributes its realised value. Any other day contributes its estimated value plus a
correction: the mean difference between the realised and estimated values of recent days (prediction-powered inference;
Angelopoulos et al. 2023). Not here: the formulas (`driftlake.maths.clustered`, `driftlake.maths.sequential`), statistics of
windows that treat rows as independent (`driftlake.quality.measures`), and alerts on the evidence (`driftlake.alerts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property, partial
from itertools import compress, islice
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake.config import STATISTICS_OF_PERFORMANCE, TIER_WEIGHTS, CustomMetric, ModelSettings, Settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.grouping import grouped
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import RECENT_DAYS, ModelVersion
from driftlake.maths import clustered
from driftlake.maths.arrays import Floats, Indices
from driftlake.maths.binning import MISSING, share_from
from driftlake.maths.clustered import FEWEST_DAYS, ClusteredMean
from driftlake.maths.cohort_expressions import COLUMNS, evaluated
from driftlake.maths.estimation import Calibration
from driftlake.maths.ranking import auc
from driftlake.maths.sequential import (
    DayNoise,
    LossEvidence,
    day_differences,
    day_noise,
    loss_evidence,
    page_thresholds,
    pooled_noise,
    shown_within_28_days,
)
from driftlake.quality.class_calibrations import ClassCalibrations, ClassProbabilities
from driftlake.quality.labelled_windows import CLASS_SCORE_BINS, Calibrations, ascending_bins, by_score_of

# Days that are read again every night. A loss that develops over more days cannot be distinguished from the usual variation.
LOOK_BACK_DAYS = 120
_QUERIES = ("performance_labels", "performance_predictions", "performance_classes", "performance_decisions")
# A day contributes its realised value once it has this share of the labels that are expected for it.
_MOST_LABELS = 0.8
# The share of predictions that finally get a label is learned from days that are at least this old.
_OLD_ENOUGH_DAYS = 28
# The estimates of days without labels are corrected by realised minus estimated values of this many days.
_CORRECTING_DAYS = 28
# Default tolerances: absolute for a baseline stated in the lineage, a share of the baseline for an error.
_STATED_TOLERANCE = 0.02
_ERROR_TOLERANCE_SHARE = 0.1
_SMALLEST_PROBABILITY = 1e-15
# The baseline is itself an estimate, so the limit is lowered by this number of its standard errors.
_BASELINE_ERRORS = 1.0
_KEY = ["model_id", "model_version", "deployment"]
# Column with the sum over the training data, by statistic.
_TRAINING_SUMS = {
    "log_loss": "log_loss_sum",
    "brier_score": "squared_error_sum",
    "mean_absolute_error": "absolute_error_sum",
}
# Smallest standard deviation of estimated days, as a share of that of realised days, because the estimate itself may be wrong.
_SMALLEST_ESTIMATED_SHARE = 0.5
# Number of score bins for the AUC of a day. Ties within bins change it by about 0.0001.
_BINS = 100
# The first day of a loss is stored if the evidence is at least this share of the evidence that raises a page.
_EVIDENCE_FOR_FIRST_DAY = 0.5
# Statistics with values between 0 and 1.
_SHARES = ("auc", "accuracy", "f1_score", "brier_score")

# The basis of a value.
_BASES = ("realised", "estimated", "combined")
# Number of series that are measured at once.
_SERIES_AT_ONCE = 4096

Days = NDArray[np.bool_]
# COLUMNS by name, each of shape (days, bins).
Columns = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class PerformanceCounts:
    """Rows of the queries sql/quality/performance_*.sql."""

    labels: pa.Table
    predictions: pa.Table
    classes: pa.Table
    decisions: pa.Table
    class_scores: pa.Table

    @classmethod
    def read(
        cls, query: Callable[[str], pa.Table], versions: Mapping[tuple[str, str], ModelVersion]
    ) -> PerformanceCounts:
        """Read all tables; `query` runs a query of sql/quality/ by its name."""
        has_classes = any(version.classes for version in versions.values())
        # no multiclass model, no scores of classes
        class_scores = (
            query("performance_class_scores") if has_classes else arrow_schema("class_score_profile").empty_table()
        )
        labels, predictions, classes, decisions = map(query, _QUERIES)
        return cls(labels, predictions, classes, decisions, class_scores)

    def by_group(self) -> Iterator[tuple[dict[str, str], PerformanceCounts]]:
        """The counts of each version and deployment that has predictions."""
        tables = [getattr(self, name) for name in self.__slots__]
        groups = [grouped(table, _KEY) for table in tables]
        for key in sorted(groups[1]):
            found = (of_groups.get(key, table.slice(0, 0)) for of_groups, table in zip(groups, tables, strict=True))
            yield dict(zip(_KEY, key, strict=True)), PerformanceCounts(*found)


class Metric(Protocol):
    """A metric over prediction days. `is_realised` is true for days whose value comes from labels, shape (..., days)."""

    def values(self, is_realised: Days, window_days: int) -> Floats:
        """Daily values whose mean is approximately the metric, shape (..., days)."""

    def influences(self, is_realised: Days, window_days: int) -> Floats:
        """Values of the last `window_days` whose mean is the metric over these days, shape (..., window_days)."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Mean AUC over the classes. Each field has for each class counts of shape (days, bins): of known labels, or expected ones.

    The arrays cover the last days of the look-back; earlier days have no counts.
    """

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
        return _preceded(np.mean(found, axis=0), len(is_realised), np.nan)

    def influences(self, is_realised: Days, window_days: int) -> Floats:
        """See Metric."""
        found = clustered.auc_influences(
            [(positives[-window_days:], negatives[-window_days:]) for positives, negatives in self._counts(is_realised)]
        )
        return _preceded(found, min(window_days, len(is_realised)), np.nan)

    def _counts(self, is_realised: Days) -> Iterator[tuple[Floats, Floats]]:
        chosen = is_realised[-len(self.positives[0]) :, np.newaxis]
        for known_and_expected in zip(
            self.positives, self.negatives, self.expected_positives, self.expected_negatives, strict=True
        ):
            positives, negatives, expected_positives, expected_negatives = known_and_expected
            yield np.where(chosen, positives, expected_positives), np.where(chosen, negatives, expected_negatives)


@dataclass(frozen=True, slots=True)
class Mean:
    """A metric that is a mean over rows: sums and row counts of known labels, and expected ones, of shape (..., days)."""

    sums: Floats
    counts: Floats
    expected_sums: Floats
    expected_counts: Floats

    @classmethod
    def of(cls, known: Columns, expected: Columns, parts: Callable[[Columns], Sequence[Floats]]) -> Mean:
        """From counts of the last days, shape (days, bins). `parts` computes numerators and denominators from them."""
        return cls.of_last_days(*(part.sum(axis=1) for columns in (known, expected) for part in parts(columns)))

    @classmethod
    def of_last_days(cls, *sums: Floats) -> Mean:
        """From the sums and counts of the last days; earlier days get 0."""
        return cls(*(_preceded(of_days, LOOK_BACK_DAYS, 0) for of_days in sums))

    def values(self, is_realised: Days, window_days: int) -> Floats:
        """See Metric."""
        return clustered.daily_mean(*self._sums(is_realised), window_days=window_days)

    @classmethod
    def stacked(cls, means: Sequence[Mean]) -> Mean:
        """Several means as one with arrays of shape (means, days)."""
        return cls(*(np.stack([getattr(mean, name) for mean in means]) for name in cls.__slots__))

    def influences(self, is_realised: Days, window_days: int) -> Floats:
        """See Metric."""
        sums, counts = self._sums(is_realised)
        return clustered.mean_influences(sums[..., -window_days:], counts[..., -window_days:])

    def _sums(self, is_realised: Days) -> tuple[Floats, Floats]:
        return (
            np.where(is_realised, self.sums, self.expected_sums),
            np.where(is_realised, self.counts, self.expected_counts),
        )


@dataclass(frozen=True, slots=True)
class MacroF1:
    """Mean F1 score over the classes.

    The F1 score of a class is twice its correct predictions (`hits`), divided by the sum of its predictions and its labels
    (`sizes`). The counts of known labels, and the expected ones, have shape (classes, days) and cover the last days of the
    look-back; earlier days have none.
    """

    hits: Floats
    sizes: Floats
    expected_hits: Floats
    expected_sizes: Floats

    def values(self, is_realised: Days, window_days: int) -> Floats:
        """See Metric."""
        found = clustered.daily_macro_mean(*self._sums(is_realised), window_days=window_days)
        return _preceded(found, len(is_realised), np.nan)

    def influences(self, is_realised: Days, window_days: int) -> Floats:
        """See Metric."""
        sums, counts = self._sums(is_realised)
        found = clustered.macro_mean_influences(sums[:, -window_days:], counts[:, -window_days:])
        return _preceded(found, min(window_days, len(is_realised)), np.nan)

    def _sums(self, is_realised: Days) -> tuple[Floats, Floats]:
        chosen = is_realised[-self.hits.shape[1] :]
        hits, expected_hits = 2 * self.hits, 2 * self.expected_hits
        return np.where(chosen, hits, expected_hits), np.where(chosen, self.sizes, self.expected_sizes)


def _preceded(values: Floats, day_count: int, before: float) -> Floats:
    """The values of the last days, with `before` as the value of each earlier day, shape (day_count,)."""
    return np.concatenate([np.full(day_count - len(values), before), values])


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
    """Rows of performance for the nights from `first_day` to `last_day`. `class_calibrations` has only multiclass versions."""
    nights = days_between(first_day, last_day)
    found = [
        _Measured.of(series, settings.quality.headline_window_days)
        for series in _in_pieces(_all_series(counts, versions, calibrations, class_calibrations, settings, nights))
    ]
    if not found:
        return arrow_schema("performance").empty_table()
    evidence = _evidence(found, settings)
    return pa.concat_tables(measured.rows(of_piece) for measured, of_piece in zip(found, evidence, strict=True))


def _all_series(
    counts: PerformanceCounts,
    versions: Mapping[tuple[str, str], ModelVersion],
    calibrations: Mapping[tuple[str, str], Calibrations],
    class_calibrations: Mapping[tuple[str, str], ClassCalibrations],
    settings: Settings,
    nights: Sequence[date],
) -> Iterator[_Series]:
    """A series for every statistic, version, deployment and night."""
    window_days = settings.quality.headline_window_days
    for key, counted in counts.by_group():
        version = versions[key["model_id"], key["model_version"]]
        model = settings.models.get(version.model_id)
        history = _History(counted, version, model, nights)
        learned = calibrations[version.model_id, version.model_version]
        of_classes = class_calibrations.get((version.model_id, version.model_version))
        standards = {statistic: _Standard.of(statistic, version, model) for statistic in STATISTICS_OF_PERFORMANCE}
        if model:
            standards |= {name: _Standard.of_custom(metric) for name, metric in model.metrics.items()}
        for place, night in enumerate(nights):
            meanings = _Meanings(
                learned.as_of(night)[0], of_classes.as_of(night) if of_classes else ClassProbabilities()
            )
            if known := history.as_of(place, night, meanings):
                for statistic, metric in known.metrics.items():
                    # the counts of a ranking are large and are updated for the next night, so its values are computed now
                    of_days = (
                        metric if isinstance(metric, Mean) else _DayValues.of(metric, known.is_realised, window_days)
                    )
                    yield _Series(night, key, statistic, standards[statistic], known, of_days)


def _in_pieces(series: Iterable[_Series]) -> Iterator[list[_Series]]:
    everything = iter(series)
    while piece := list(islice(everything, _SERIES_AT_ONCE)):
        yield piece


@dataclass(frozen=True, slots=True)
class _DayValues:
    """Daily values of metrics, shape (..., days): from labels only, from estimates only, and from what each day uses.

    The means of `realised`, `estimated` and `combined`, shape (..., window days), are the metrics over the window.
    """

    by_label: Floats
    by_estimate: Floats
    chosen: Floats
    realised: Floats
    estimated: Floats
    combined: Floats

    @classmethod
    def of(cls, metric: Metric, is_realised: Days, window_days: int) -> _DayValues:
        """The daily values of one metric, or of several of the same kind."""
        ways = np.ones_like(is_realised), np.zeros_like(is_realised), is_realised
        return cls(
            *(metric.values(way, window_days) for way in ways), *(metric.influences(way, window_days) for way in ways)
        )


@dataclass(frozen=True, slots=True)
class _Series:
    """The daily values of a statistic of a version and deployment, as known on a night; or the mean that gives them."""

    night: date
    key: Mapping[str, str]
    statistic: str
    standard: _Standard
    known: _Known
    of_days: Mean | _DayValues


def _day_values(series: Sequence[_Series], is_realised: Days, window_days: int) -> _DayValues:
    """The daily values of all series, shape (series, days)."""
    is_mean, day_count = np.array([isinstance(each.of_days, Mean) for each in series]), is_realised.shape[1]
    found = [each.of_days for each in series if isinstance(each.of_days, _DayValues)]
    if means := [each.of_days for each in series if isinstance(each.of_days, Mean)]:
        of_means = _DayValues.of(Mean.stacked(means), is_realised[is_mean], window_days)

    def joined(name: str) -> Floats:
        values = np.empty((len(series), min(window_days, day_count) if name in _BASES else day_count))
        if found:
            values[~is_mean] = np.stack([getattr(each, name) for each in found])
        if means:
            values[is_mean] = getattr(of_means, name)
        return values

    return _DayValues(*(joined(name) for name in _DayValues.__slots__))


@dataclass(frozen=True, slots=True)
class _Standard:
    """Baseline and tolerance of a statistic, and the range of its values; `baseline_error` is the baseline's standard error."""

    baseline: float | None
    tolerance: float | None
    baseline_error: float = 0.0
    is_larger_better: bool = False
    lowest: float = 0.0
    highest: float = np.inf

    @property
    def limit(self) -> float:
        """The worst acceptable value, with the sign changed if smaller is better. Needs a baseline and a tolerance."""
        assert self.baseline is not None
        assert self.tolerance is not None
        sign = 1 if self.is_larger_better else -1
        return sign * self.baseline - (self.tolerance + _BASELINE_ERRORS * self.baseline_error)

    @classmethod
    def of(cls, statistic: str, version: ModelVersion, model: ModelSettings | None) -> _Standard:
        """The standard of a version, with the configured or the default tolerance."""
        labels = version.training_labels
        given: Mapping[str, float] = {str(name): value for name, value in model.tolerance.items()} if model else {}
        highest = 1.0 if statistic in _SHARES else np.inf
        if statistic == "auc":
            error = 0.0
            if labels and labels.positives.any() and labels.negatives.any():
                error = float(auc(by_score_of(labels.positives), by_score_of(labels.negatives)).standard_error)
            allowed = given.get(statistic, _STATED_TOLERANCE)
            return cls(version.baseline_auc, allowed, error, is_larger_better=True, highest=highest)
        if statistic == "f1_score":
            allowed = given.get(statistic, _STATED_TOLERANCE)
            return cls(version.baseline_f1_score, allowed, is_larger_better=True, highest=highest)
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
    def of_custom(cls, metric: CustomMetric) -> _Standard:
        """The standard of a metric in models.<id>.metrics."""
        return cls(
            metric.baseline,
            metric.tolerance,
            is_larger_better=metric.better == "higher",
            lowest=-np.inf,
        )


def _training_accuracy(version: ModelVersion, model: ModelSettings | None) -> tuple[float | None, float]:
    """Accuracy of a binary model on its training data at its decision cut, and its standard error.

    Scores are assumed to be evenly distributed within a bin.
    """
    cut, labels, bins = version.decision_cut(model), version.training_labels, version.score_bins
    if cut is None or labels is None or bins is None or not labels.scored_count:
        return None, 0.0
    above, positives, negatives = share_from(bins, cut), by_score_of(labels.positives), by_score_of(labels.negatives)
    accuracy = float((positives * above + negatives * (1 - above)).sum() / labels.scored_count)
    return accuracy, float(np.sqrt(accuracy * (1 - accuracy) / labels.scored_count))


class _Arriving:
    """Counts of labels by prediction day and bin, which grow from night to night: arrays of shape (days, bins) by name.

    Bins are in ascending order of the score; the last bin is for predictions without a score.
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
        """Add the labels that became known by the end of a night. Nights must be read in order, and the rows are sorted by night."""
        end = int(np.searchsorted(self._nights, np.datetime64(night), side="right"))
        new = slice(self._read, end)
        days, columns = self._places
        for name, values in self._values.items():
            np.add.at(self.known[name], (days[new], columns[new]), values[new])
        self._read = end


@dataclass(frozen=True, slots=True)
class _Meanings:
    """What is known on a night about the meaning of the scores: calibration of a binary model, probabilities of classes."""

    calibration: Calibration | None
    classes: ClassProbabilities


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known on a night about a version and deployment, for each day of the look-back."""

    metrics: Mapping[str, Metric]
    label_counts: Floats
    # days whose values come from labels
    is_realised: Days
    has_predictions: Days


class _History:
    """Counts of a version and deployment by day, as known at the end of each night."""

    def __init__(
        self, counts: PerformanceCounts, version: ModelVersion, model: ModelSettings | None, nights: Sequence[date]
    ) -> None:
        self._version, self._cut = version, version.decision_cut(model)
        self._custom_metrics = model.metrics if model else {}
        start = nights[0] - timedelta(days=LOOK_BACK_DAYS - 1)
        day_count = (nights[-1] - start).days + 1
        width = version.score_bins.bin_count if version.score_bins else 1
        names = "row_count", "score_sum", "at_cut_count"
        self._predictions = _per_bin(counts.predictions, names, start, (day_count, width))
        self._labels = _Arriving(counts.labels, COLUMNS, start, (day_count, width))
        self._decisions = [
            _Arriving(rows, ("hit_count", "predicted_count", "labelled_count"), start, (day_count, 1))
            for rows in _by_class(counts.decisions, version, "decided_class")
        ]
        shape = day_count, CLASS_SCORE_BINS
        self._classes = [
            _Arriving(rows, ("positive_count", "negative_count"), start, shape)
            for rows in _by_class(counts.classes, version, "scored_class")
        ]
        self._class_scores = [
            _per_bin(rows, ("row_count", "predicted_count"), start, shape)
            for rows in _by_class(counts.class_scores, version, "scored_class")
        ]
        # the first day with counts: a new version has none on most days of the look-back
        self._first = _first_day(counts, start)

    def as_of(self, place: int, night: date, meanings: _Meanings) -> _Known | None:
        """What is known at the end of `night`, which is number `place`; None if the version has not predicted recently."""
        for arriving in (self._labels, *self._decisions, *self._classes):
            arriving.read(night)
        days = slice(place, place + LOOK_BACK_DAYS)
        prediction_counts = self._predictions["row_count"][days].sum(axis=1)
        if not prediction_counts[-RECENT_DAYS:].any():
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
        counted = slice(max(days.start, self._first), days.stop)
        if self._version.task == "regression":
            yield "mean_absolute_error", self._absolute_error(days)
        elif self._version.classes:
            yield from self._of_classes(counted, meanings.classes)
        else:
            yield from self._of_scores(counted, meanings.calibration)
        if self._custom_metrics:
            known, expected = self._known(days), self._expected(days, meanings.calibration)
            for name, metric in self._custom_metrics.items():
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
        """COLUMNS of the known labels of predictions with a score, shape (days, bins)."""
        return {name: array[days, :-1] for name, array in self._labels.known.items()}

    def _expected(self, days: slice, calibration: Calibration | None) -> dict[str, Floats]:
        """Expected COLUMNS of the predictions of a binary model, shape (days, bins); 0 without a calibration."""
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
            of_positive, of_negative = (losses[days] for losses in self._log_losses)
            expected["log_loss_sum"] = positives * of_positive + negatives * of_negative
            of_positive, of_negative = (losses[days] for losses in self._squared_errors)
            expected["squared_error_sum"] = positives * of_positive + negatives * of_negative
        return expected

    @cached_property
    def _mean_scores(self) -> Floats:
        """Mean score of each day and bin, shape (days, bins)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.nan_to_num(self._predictions["score_sum"][:, :-1] / self._predictions["row_count"][:, :-1])
        return np.clip(score, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)

    @cached_property
    def _log_losses(self) -> tuple[Floats, Floats]:
        """Log loss of a positive and of a negative label, each of shape (days, bins)."""
        return -np.log(self._mean_scores), -np.log1p(-self._mean_scores)

    @cached_property
    def _squared_errors(self) -> tuple[Floats, Floats]:
        """Squared error of a positive and of a negative label, each of shape (days, bins)."""
        return (1 - self._mean_scores) ** 2, self._mean_scores**2

    def _of_classes(self, days: slice, probabilities: ClassProbabilities) -> Iterator[tuple[str, Metric]]:
        """Metrics of a multiclass model. Expected counts follow from the calibrated probability of each class."""
        sides = [
            [each.known[name][days, :-1] for each in self._classes] for name in ("positive_count", "negative_count")
        ]
        scored, predicted = (
            [each[name][days, :-1] for each in self._class_scores] for name in ("row_count", "predicted_count")
        )
        expected = _expected_labels(scored, probabilities.of_class)
        # a class needs labels of the class and of others; if no class has both, all are estimated
        is_known = [side.any() and other.any() for side, other in zip(*sides, strict=True)]
        is_expected = [side.any() and other.any() for side, other in zip(*expected, strict=True)]
        is_counted = is_known if any(is_known) else is_expected
        if any(is_counted):
            yield "auc", Ranking(*(list(compress(side, is_counted)) for side in (*sides, *expected)))
        hits, decided, labelled = (
            np.stack([each.known[name][days, 0] for each in self._decisions])
            for name in ("hit_count", "predicted_count", "labelled_count")
        )
        expected_hits, expected_misses = (
            np.sum(side, axis=-1) for side in _expected_labels(predicted, probabilities.of_right)
        )
        expected_decided, expected_labelled = expected_hits + expected_misses, np.sum(expected[0], axis=-1)
        yield (
            "accuracy",
            Mean.of_last_days(*(each.sum(axis=0) for each in (hits, labelled, expected_hits, expected_decided))),
        )
        # if one of the two is missing, the expected F1 score would be far too high
        has_both = expected_decided.any() and expected_labelled.any()
        expected_sizes = (expected_decided + expected_labelled) * has_both
        yield "f1_score", MacroF1(hits, decided + labelled, expected_hits * has_both, expected_sizes)

    def _absolute_error(self, days: slice) -> Mean:
        """The mean absolute error. The expected error of a prediction is the mean error of the known labels in its score bin."""
        sums, counts = (self._labels.known[name][days, :-1] for name in ("absolute_error_sum", "number_count"))
        predictions = self._predictions["row_count"][days, :-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            overall = sums.sum() / counts.sum()
            of_bin = np.where(counts.sum(axis=0) > 0, sums.sum(axis=0) / counts.sum(axis=0), overall)
        expected = np.nan_to_num(predictions * of_bin)
        has_any = float(counts.any())
        return Mean(sums.sum(axis=1), counts.sum(axis=1), expected.sum(axis=1), predictions.sum(axis=1) * has_any)


def _first_day(counts: PerformanceCounts, start: date) -> int:
    """Number of days from `start` to the first day with predictions or labels."""
    predicted = [counts.predictions["dt"], counts.class_scores["dt"]]
    labelled = [rows["prediction_on"] for rows in (counts.labels, counts.classes, counts.decisions)]
    firsts = [pc.min(days).as_py() for days in (*predicted, *labelled) if len(days)]
    return (min(firsts) - start).days if firsts else 0


def _per_label(name: str, columns: Columns) -> Sequence[Floats]:
    return columns[name], columns["positive_count"] + columns["negative_count"]


def _right_decisions(columns: Columns) -> Sequence[Floats]:
    right = columns["true_positive_count"] + columns["negative_count"] - columns["false_positive_count"]
    return right, columns["positive_count"] + columns["negative_count"]


def _columns(width: int) -> NDArray[np.int64]:
    """The array column of each bin: bins in ascending order of the score, then predictions without a score."""
    columns = np.empty(width, dtype=np.int64)
    columns[[*ascending_bins(width), MISSING]] = np.arange(width)
    return columns


def _by_class(rows: pa.Table, version: ModelVersion, column: str) -> list[pa.Table]:
    """The rows of each class of a version; `column` has the name of the class."""
    of_classes = grouped(rows, [column])
    return [of_classes.get((name,), rows.slice(0, 0)) for name in version.class_names]


def _expected_labels(
    predictions: Sequence[Floats], probabilities: Floats | None
) -> tuple[Sequence[Floats], Sequence[Floats]]:
    """Expected positives and negatives of each class, shape (days, bins); 0 without probabilities."""
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
    """Days that have most of their labels, shape (days,). The final share of labelled predictions is learned from old days."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = label_counts / prediction_counts
    old = shares[: LOOK_BACK_DAYS - _OLD_ENOUGH_DAYS]
    old = old[np.isfinite(old)][:_OLD_ENOUGH_DAYS]
    final_share = min(float(np.median(old)), 1.0) if len(old) else 1.0
    return np.nan_to_num(shares) >= max(_MOST_LABELS * final_share, 1e-9)


@dataclass(frozen=True, slots=True)
class _Correction:
    """Realised minus estimated values: mean over recent days, its standard error, and standard deviation of a single day.

    Each has shape (series,). With too few days, mean and error are 0 and the deviation is nan.
    """

    mean: Floats
    standard_error: Floats
    deviation: Floats
    day_count: NDArray[np.int64]

    @classmethod
    def of(cls, differences: Floats) -> _Correction:
        """From the daily differences in the order of the days, shape (series, days); nan for days without one."""
        known, count = clustered.compacted(differences)
        place, late_count = np.arange(differences.shape[-1]), np.minimum(count, _CORRECTING_DAYS)
        is_late = (place < count[:, np.newaxis]) & (place >= (count - late_count)[:, np.newaxis])
        variance = clustered.long_run_variance(differences)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, error = (known * is_late).sum(axis=-1) / late_count, np.sqrt(variance / late_count)
        is_enough = count >= FEWEST_DAYS
        return cls(
            np.where(is_enough, mean, 0.0),
            np.where(is_enough, error, 0.0),
            np.where(is_enough, np.sqrt(variance), np.nan),
            np.where(is_enough, late_count, 0),
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    """Results of several series: means by basis, each of shape (series,), and the daily values that are tested for a loss.

    `values` and `estimates` have shape (series, days); their sign is chosen so that larger is better.
    """

    series: Sequence[_Series]
    window_days: int
    is_realised: Days
    means: Mapping[str, ClusteredMean]
    values: Floats
    estimates: Floats

    @classmethod
    def of(cls, series: Sequence[_Series], window_days: int) -> _Measured:
        """Measure the series, of which there must be at least one."""
        is_realised, has_predictions = (
            np.stack([getattr(each.known, name) for each in series]) for name in ("is_realised", "has_predictions")
        )
        of_days = _day_values(series, is_realised, window_days)
        differences = np.where(is_realised, of_days.by_label - of_days.by_estimate, np.nan)
        correction = _Correction.of(differences)
        of_estimates = correction.mean[:, np.newaxis]
        values = np.where(is_realised, of_days.chosen, of_days.chosen + of_estimates)
        values = np.where(has_predictions, values, np.nan)
        estimates = np.where(has_predictions, of_days.by_estimate + of_estimates, np.nan)
        is_estimated = (~is_realised & np.isfinite(values))[:, -window_days:]
        means = {
            "realised": clustered.clustered_mean(of_days.realised),
            "estimated": _expected(clustered.clustered_mean(of_days.estimated), correction),
            "combined": _combined(clustered.clustered_mean(of_days.combined), is_estimated.sum(axis=-1), correction),
        }
        sign = np.array([[1 if each.standard.is_larger_better else -1] for each in series])
        uncertain = np.where(is_realised, 0, correction.standard_error[:, np.newaxis])
        return cls(series, window_days, is_realised, means, sign * values + uncertain, sign * estimates)

    @property
    def is_estimated(self) -> Days:
        """Days whose values are estimates, shape (series, days)."""
        return ~self.is_realised

    def tested(self) -> NDArray[np.int64]:
        """Positions of the series that are tested for a loss."""
        return np.flatnonzero(
            [
                each.standard.baseline is not None
                and each.standard.tolerance is not None
                and each.key["deployment"] != "shadow"
                and bool(count)
                for each, count in zip(self.series, self.means["combined"].day_count.tolist(), strict=True)
            ]
        )

    def rows(self, evidence: Mapping[str, NDArray[Any]]) -> pa.Table:
        """Rows of performance, for each basis that has days. `evidence` has arrays of shape (series,) by column, for the basis combined."""
        has_days = np.stack([self.means[basis].day_count > 0 for basis in _BASES], axis=1)
        places, bases = np.nonzero(has_days)

        def by_basis(name: str) -> NDArray[Any]:
            return np.stack([getattr(self.means[basis], name) for basis in _BASES], axis=1)[has_days]

        def of_series(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
            return pa.array(values, kind).take(pa.array(places))

        def of_standard(name: str) -> NDArray[Any]:
            given = [getattr(each.standard, name) for each in self.series]
            return np.array([np.nan if value is None else value for value in given], dtype=float)[places]

        window = slice(-self.window_days, None)
        lowest, highest = of_standard("lowest"), of_standard("highest")
        low, high = (np.clip(by_basis(f"confidence_{side}"), lowest, highest) for side in ("low", "high"))
        day_count = by_basis("day_count")
        label_counts = [int(each.known.label_counts[window].sum()) for each in self.series]
        found: dict[str, Any] = {
            "dt": of_series([each.night for each in self.series], pa.date32()),
            **{name: of_series([each.key[name] for each in self.series], pa.string()) for name in _KEY},
            "statistic": of_series([each.statistic for each in self.series], pa.string()),
            "basis": pa.array(_BASES).take(pa.array(bases)),
            "window_days": np.full(len(places), self.window_days),
            **{name: by_basis(name) for name in ("value", "standard_error")},
            "confidence_low": low,
            "confidence_high": high,
            "day_count": day_count,
            "labelled_day_count": self.is_realised[:, window].sum(axis=1)[places],
            "label_count": of_series(label_counts, pa.int64()),
            "baseline_value": of_standard("baseline"),
            "tolerance": of_standard("tolerance"),
            "reason": pa.array(_no_interval(low, day_count), pa.string()),
        }
        is_combined = np.array(_BASES)[bases] == "combined"
        for name, values in evidence.items():
            found[name] = values[places]
            found[name][~is_combined] = None
        schema = arrow_schema("performance")
        return pa.table([_column(found[field.name], field.type) for field in schema], schema=schema)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    """An Arrow array in which numbers that are not finite are null."""
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, np.nan)
    return pa.array(values, kind, from_pandas=True)


def _expected(estimated: ClusteredMean, correction: _Correction) -> ClusteredMean:
    """Estimates with intervals for the later realised values, from how far the two were apart on earlier days."""
    with np.errstate(divide="ignore"):
        of_days = correction.deviation**2 / estimated.day_count
    error = np.sqrt(of_days + correction.standard_error**2 + correction.mean**2)
    low, high = clustered.interval(estimated.value, error, correction.day_count)
    return ClusteredMean(estimated.value, error, low, high, estimated.day_count)


def _combined(pooled: ClusteredMean, estimated_count: NDArray[np.int64], correction: _Correction) -> ClusteredMean:
    """Means over realised and estimated days, corrected; their error includes that of the correction."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(estimated_count / pooled.day_count)
        of_estimates = np.where(share > 0, share * np.nan_to_num(correction.deviation) ** 2 / pooled.day_count, 0.0)
    error = np.sqrt(pooled.standard_error**2 + (share * correction.standard_error) ** 2 + of_estimates)
    return ClusteredMean.of(pooled.value + share * correction.mean, error, pooled.day_count)


def _no_interval(low: Floats, day_count: NDArray[np.int64]) -> list[str | None]:
    """Why there is no interval, shape (rows,); None where there is one."""
    few = f"no interval: fewer than {FEWEST_DAYS} days"
    reasons = np.select(
        [np.isfinite(low), day_count < FEWEST_DAYS],
        ["", few],
        f"{few} with labels, which are needed to know the error of estimates",
    )
    return [reason or None for reason in reasons.tolist()]


def _evidence(found: Sequence[_Measured], settings: Settings) -> list[dict[str, NDArray[Any]]]:
    """Columns about evidence of a loss, each of shape (series,). The tests of a night share the budget of false pages."""
    tested = [measured.tested() for measured in found]
    series = [
        measured.series[place] for measured, places in zip(found, tested, strict=True) for place in places.tolist()
    ]
    columns = [
        {
            "detectable_loss": np.full(len(measured.series), np.nan),
            "loss_evidence": np.full(len(measured.series), np.nan),
            "loss_since_on": np.full(len(measured.series), None, dtype=object),
        }
        for measured in found
    ]
    if not series:
        return columns
    values, is_estimated, estimates = (
        np.concatenate([getattr(measured, name)[places] for measured, places in zip(found, tested, strict=True)])
        for name in ("values", "is_estimated", "estimates")
    )
    limits = np.array([each.standard.limit for each in series])
    thresholds = page_thresholds(
        settings.false_pages_per_year,
        np.array([TIER_WEIGHTS[settings.tier_of(each.key["model_id"])] for each in series]),
        np.array([each.night.toordinal() for each in series]),
    )

    def losses_by(noise: tuple[DayNoise, DayNoise]) -> LossEvidence:
        by_labels, by_estimates = noise
        return loss_evidence(values, limits, thresholds, by_labels, estimated=(is_estimated, by_estimates))

    learn = partial(_noises, series, np.where(is_estimated, np.nan, values), estimates)
    # without the differences across the first day of a loss, which would enlarge the noise and hide the loss
    noise = learn(began_at=losses_by(learn()).began_at)
    losses = losses_by(noise)
    evidence = np.maximum(np.nan_to_num(losses.log_evidence[:, -1] / np.log(thresholds), nan=0.0, neginf=0.0), 0)
    tolerances = np.array([each.standard.tolerance for each in series], dtype=float)
    of_tests = {
        "detectable_loss": tolerances + shown_within_28_days(noise[0], thresholds),
        "loss_evidence": evidence,
        "loss_since_on": np.array(
            [
                each.night - timedelta(days=LOOK_BACK_DAYS - 1 - began_at)
                if began_at >= 0 and of_test >= _EVIDENCE_FOR_FIRST_DAY
                else None
                for each, of_test, began_at in zip(series, evidence.tolist(), losses.began_at.tolist(), strict=True)
            ],
            dtype=object,
        ),
    }
    ends = np.cumsum([len(places) for places in tested])[:-1]
    for name, of_name in of_tests.items():
        for column, places, part in zip(columns, tested, np.split(of_name, ends), strict=True):
            column[name][places] = part
    return columns


def _noises(
    series: Sequence[_Series], labelled: Floats, estimates: Floats, began_at: Indices | None = None
) -> tuple[DayNoise, DayNoise]:
    """Noise of realised days and of estimated days. `began_at` is the first day of the likely loss of each series."""
    by_labels, by_estimates = (_noise(series, values, began_at) for values in (labelled, estimates))
    floor = np.nan_to_num(by_labels.deviation) * _SMALLEST_ESTIMATED_SHARE
    return by_labels, replace(by_estimates, deviation=np.fmax(by_estimates.deviation, floor))


def _noise(series: Sequence[_Series], values: Floats, began_at: Indices | None) -> DayNoise:
    """How much the days of each series vary. While a series has few days, other series of its night and statistic contribute."""
    differences = day_differences(values, began_at=began_at)
    places: dict[tuple[date, str], list[int]] = {}
    for place, each in enumerate(series):
        places.setdefault((each.night, each.statistic), []).append(place)
    deviation, autocorrelation, worth = np.full((3, len(series)), np.nan)
    for members in places.values():
        if prior := pooled_noise(differences.of(members)):
            deviation[members], autocorrelation[members] = prior.deviation, prior.autocorrelation
            worth[members] = prior.day_count
    shrunk = day_noise(differences, prior=DayNoise(deviation, autocorrelation, worth))
    return replace(shrunk, day_count=differences.day_count)
