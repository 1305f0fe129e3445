"""A candidate (shadow, canary) against production on the same predictions: rows of shadow_comparison.

Not here: the statistics of two scores (`driftlake.maths.agreement`), and which predictions are paired
(sql/profiles/shadow_pairs.sql).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import special

from driftlake.config import DriftSettings, QualitySettings
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.agreement import paired_auc_difference, rank_correlation
from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE, MISSING, PROBABILITY_GRID
from driftlake.maths.clustered import ClusteredMean, pooled_auc_difference
from driftlake.maths.divergence import psi
from driftlake.maths.ranking import CONFIDENCE, wilson_interval
from driftlake.maths.segments import ALL
from driftlake.profiles.paired_predictions import PRODUCTION

_KEY = ("dt", "window_days", "model_id", "model_version", "deployment", "production_version")
# Number of bins of the grid of probabilities that sql/macros/shadow_bin.sql merges into one.
_MERGED_CELLS = 4
# PSI compares bins of two units of log-odds.
_COARSE_BINS = 10
QUERIES = ("shadow_counts", "shadow_percentiles", "shadow_labels")
_INTERVAL = ("confidence_low", "confidence_high", "p_value")
_PERCENTILES = ("difference_p05", "difference_p50", "difference_p95")


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Counts of the pairs of some windows: rows of the QUERIES in sql/quality/, in that order."""

    shadow_counts: pa.Table
    shadow_percentiles: pa.Table
    shadow_labels: pa.Table


def compare(
    windows: pa.Table,
    pairs: PairCounts,
    versions: Mapping[tuple[str, str], ModelVersion],
    drift: DriftSettings,
    quality: QualitySettings,
) -> pa.Table:
    """Rows of shadow_comparison; `windows` are rows of sql/quality/window_predictions.sql."""
    counts, percentiles, labels = (
        {tuple(row[name] for name in _KEY): place for place, row in enumerate(table.select(_KEY).to_pylist())}
        for table in (pairs.shadow_counts, pairs.shadow_percentiles, pairs.shadow_labels)
    )
    rows: list[dict[str, Any]] = []
    for key, prediction_count in _comparisons(windows):
        bins = _Bins.of(versions[key["model_id"], key["production_version"]])
        place = tuple(key[name] for name in _KEY)
        window = _Window(
            bins,
            prediction_count,
            _row(pairs.shadow_counts, counts.get(place)),
            _row(pairs.shadow_percentiles, percentiles.get(place)),
            _row(pairs.shadow_labels, labels.get(place)),
            drift,
            quality,
        )
        rows += [key | found for found in window.rows()]
    return pa.Table.from_pylist(rows, schema=arrow_schema("shadow_comparison"))


def _comparisons(windows: pa.Table) -> Iterator[tuple[dict[str, Any], int]]:
    """Every candidate with every production version of its model that predicted on the last day of the same window."""
    current = [row for row in windows.to_pylist() if row["segment"] == ALL and row["has_predictions_on_last_day"]]
    produced: dict[tuple[Any, ...], list[str]] = {}
    for row in current:
        if row["deployment"] == PRODUCTION:
            produced.setdefault((row["dt"], row["window_days"], row["model_id"]), []).append(row["model_version"])
    for row in current:
        if row["deployment"] != PRODUCTION:
            for version in produced.get((row["dt"], row["window_days"], row["model_id"]), []):
                if version != row["model_version"]:
                    key = {name: row[name] for name in _KEY[:-1]} | {"production_version": version}
                    yield key, row["prediction_count"]


@dataclass(frozen=True, slots=True)
class _Bins:
    """The bins in which both scores are counted: their number, their ascending order, and the coarse bin of each."""

    count: int
    ascending: Indices
    coarse: Indices

    @classmethod
    def of(cls, production: ModelVersion) -> _Bins:
        """The bins of a production version, see sql/macros/shadow_bin.sql."""
        bins = production.score_bins
        count = FIRST_RANGE if bins is None else bins.bin_count
        coarse = np.arange(count) if bins is None else bins.coarse_ids
        if production.score_kind == "probability":
            count = FIRST_RANGE + PROBABILITY_GRID.cells // _MERGED_CELLS
            coarse = np.concatenate([[MISSING, BELOW, ABOVE], FIRST_RANGE + np.arange(count - 3) // _COARSE_BINS])
        ascending = np.array([BELOW, *range(FIRST_RANGE, count), ABOVE], dtype=np.int32)
        return cls(count, ascending, coarse.astype(np.int32))

    def matrix(self, row: Mapping[str, Any], name: str) -> Counts:
        """Counts per pair of bins, shape (count, count)."""
        counts = np.zeros((self.count, self.count), dtype=np.int64)
        if row:
            np.add.at(counts, (row["bin_ids"], row["production_bin_ids"]), row[name])
        return counts

    def by_day(self, row: Mapping[str, Any], name: str, bin_ids: str) -> Floats:
        """Counts of predictions that have both scores by prediction day and ascending bin of one, shape (days, bins)."""
        if not row:
            return np.zeros((0, len(self.ascending)))
        counts = np.zeros((int(row["ages"].max()) + 1, self.count))
        has_both = (row["bin_ids"] != MISSING) & (row["production_bin_ids"] != MISSING)
        np.add.at(counts, (row["ages"][has_both], row[bin_ids][has_both]), row[name][has_both])
        return counts[::-1, self.ascending]

    def by_score(self, counts: Counts) -> Counts:
        """Pairs in ascending order of both scores, without pairs that lack a score."""
        return counts[np.ix_(self.ascending, self.ascending)]

    def merged(self, counts: Counts) -> Counts:
        """Counts per bin added to coarse bins."""
        return np.bincount(self.coarse, weights=counts).astype(np.int64)


def _row(table: pa.Table, place: int | None) -> Mapping[str, Any]:
    """A row with its lists as arrays; without columns if there is none."""
    if place is None:
        return {}
    values = {name: table[name][place] for name in table.column_names if name not in _KEY}
    return {
        name: value.values.to_numpy() if isinstance(value, pa.ListScalar) else value.as_py()
        for name, value in values.items()
    }


@dataclass(frozen=True, slots=True)
class _Window:
    """A candidate's window of `prediction_count` predictions, with the rows about its pairs."""

    bins: _Bins
    prediction_count: int
    counts: Mapping[str, Any]
    percentiles: Mapping[str, Any]
    labels: Mapping[str, Any]
    drift: DriftSettings
    quality: QualitySettings

    def rows(self) -> Iterator[dict[str, Any]]:
        """Columns of each statistic's row."""
        pairs = self.bins.matrix(self.counts, "row_counts")
        scored = self.bins.by_score(pairs)
        matched, size = int(pairs.sum()), int(scored.sum())
        yield _share("matched_share", matched, self.prediction_count) | {"paired_count": matched}
        reason = self._reason(size)
        disagreed = self.counts.get("disagreement_count")
        without_cut = "the model has no decision cut" if disagreed is None else None
        statistics = [
            _share("agreement_share", size - (disagreed or 0), size) | {"reason": without_cut},
            self._mean_difference(size),
            *({"statistic": name, "value": self.percentiles.get(name)} for name in _PERCENTILES),
            {"statistic": "rank_correlation", "value": _number(rank_correlation(scored))},
            {"statistic": "psi", "value": self._psi(pairs)},
        ]
        for row in statistics:
            yield _judged(row, reason) | {"paired_count": size}
        yield self._auc_difference() | {"paired_count": size}

    def _reason(self, size: int) -> str | None:
        if not size:
            return "no predictions in the window that both versions answered"
        needed = self.drift.minimum_rows
        return f"fewer than {needed} predictions that both versions answered" if size < needed else None

    def _mean_difference(self, size: int) -> dict[str, Any]:
        """The mean difference with the normal interval of a mean of paired differences."""
        row: dict[str, Any] = {"statistic": "mean_difference"}
        if size < 2:
            return row
        mean = self.counts["difference_sum"] / size
        variance = max(self.counts["squared_difference_sum"] - size * mean**2, 0) / (size - 1)
        half = special.ndtri((1 + CONFIDENCE) / 2) * math.sqrt(variance / size)
        return row | {"value": mean, "confidence_low": mean - half, "confidence_high": mean + half}

    def _psi(self, pairs: Counts) -> float | None:
        candidate, production = (self.bins.merged(pairs.sum(axis=axis)) for axis in (1, 0))
        return _number(psi(candidate, production, self.drift.smoothing).value)

    def _auc_difference(self) -> dict[str, Any]:
        positives, negatives = (
            self.bins.by_score(self.bins.matrix(self.labels, name)) for name in ("positive_counts", "negative_counts")
        )
        numbers = {"positive_count": int(positives.sum()), "negative_count": int(negatives.sum())}
        found = paired_auc_difference(positives, negatives)
        measured = {
            "value": _number(found.difference),
            **{name: _number(getattr(found, name)) for name in _INTERVAL},
            "interval_unit": "rows",
        }
        by_day = self._auc_difference_by_days()
        if math.isfinite(by_day.standard_error):
            measured |= {name: _number(getattr(by_day, name)) for name in _INTERVAL} | {"interval_unit": "days"}
        row = {"statistic": "auc_difference", **measured}
        return _judged(row, self._label_reason(min(numbers.values()), sum(numbers.values()))) | numbers

    def _auc_difference_by_days(self) -> ClusteredMean:
        """Both scores have the same days, so effects of a day on both cancel."""
        candidate, production = (
            (
                self.bins.by_day(self.labels, "positive_counts", bin_ids),
                self.bins.by_day(self.labels, "negative_counts", bin_ids),
            )
            for bin_ids in ("bin_ids", "production_bin_ids")
        )
        return pooled_auc_difference(candidate, production)

    def _label_reason(self, smallest: int, total: int) -> str | None:
        if not total:
            return "no labels have arrived for predictions that both versions answered"
        if not smallest:
            return "labels of one class only"
        needed = self.quality.minimum_labels_per_class
        return f"fewer than {needed} labels of one class" if smallest < needed else None


def _share(statistic: str, hits: int, size: int) -> dict[str, Any]:
    if not size:
        return {"statistic": statistic, "outcome": "insufficient_data"}
    low, high = wilson_interval(np.array(hits), np.array(size))
    interval = {"confidence_low": float(low), "confidence_high": float(high)}
    return {"statistic": statistic, "value": hits / size, **interval, "outcome": "measured"}


def _judged(row: Mapping[str, Any], reason: str | None) -> dict[str, Any]:
    """A row with its outcome; without its numbers if there is a reason that they cannot be judged."""
    reason = reason or row.get("reason")
    if reason is None and row.get("value") is None:
        reason = "all scores are in one bin"
    if reason:
        return {"statistic": row["statistic"], "outcome": "insufficient_data", "reason": reason}
    return {**row, "outcome": "measured"}


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
