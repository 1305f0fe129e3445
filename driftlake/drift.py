"""Windows of daily counts compared with their references: rows of feature_drift and prediction_drift.

Not here: the statistics (divergence.py, statistics.py), which days a window or a reference has (windows.py), and reading
or storing (nightly.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake.arrays import Counts, Floats
from driftlake.binning import FIRST_RANGE, FeatureBins
from driftlake.config import DriftSettings, Period, ReferenceKind
from driftlake.divergence import Comparison, benjamini_hochberg
from driftlake.statistics import KINDS, STATISTICS, Kind, Sides
from driftlake.versions import SCORE, ModelVersion
from driftlake.windows import Buckets, Span, reference_spans

OUTCOMES = ("stable", "warn", "drift", "insufficient_data")
_STABLE, _WARN, _DRIFT, _INSUFFICIENT = range(4)

_GROUP = ("model_id", "model_version", "deployment", "segment")


def buckets_of(days: Sequence[date], settings: DriftSettings) -> Buckets:
    """The buckets of days in which counts are needed for comparing the windows that end with `days`."""
    spans: list[Span] = []
    for day in days:
        spans.append(Span.window(day, 1))
        for window in (Span.window(day, length) for length in settings.windows_days):
            spans.append(window)
            for reference in settings.references:
                if reference != "training":
                    of_reference = reference_spans(reference, window)
                    spans += [of_reference.whole, of_reference.without]
    return Buckets.of(span for span in spans if span.day_count)


def compare_windows(
    counts: pa.Table,
    day_counts: pa.Table,
    buckets: Buckets,
    versions: Mapping[tuple[str, str], ModelVersion],
    settings: DriftSettings,
    days: Sequence[date],
) -> tuple[pa.Table, pa.Table]:
    """Rows of feature_drift and of prediction_drift of the windows that end with `days`.

    Parameters
    ----------
    counts, day_counts : rows of sql/bucket_counts.sql and sql/bucket_days.sql
    buckets : those of `buckets_of` for the same days
    """
    features, scores = [_ROW_SCHEMA.empty_table()], [_ROW_SCHEMA.empty_table()]
    days_of_groups = dict(_by_group(day_counts))
    for group, rows in _by_group(counts):
        version = versions[group[0], group[1]]
        for names, into in ((list(version.features), features), ([SCORE], scores)):
            profile = _Profile.of(group, names, rows, days_of_groups[group], buckets, version)
            into.extend(profile.compare(days, settings))
    return pa.concat_tables(features), pa.concat_tables(scores).drop_columns(["feature"])


def _by_group(table: pa.Table) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    """Each group with its rows, which lie together."""
    if not table.num_rows:
        return
    keys = [table[name].combine_chunks().dictionary_encode() for name in _GROUP]
    codes = np.stack([key.indices.to_numpy() for key in keys])
    starts = np.flatnonzero(np.any(np.diff(codes, axis=1, prepend=-1) != 0, axis=0)).tolist()
    for start, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
        yield tuple(table[name][start].as_py() for name in _GROUP), table.slice(start, end - start)


@dataclass(frozen=True, slots=True)
class _Window:
    """Sums over one span for each of some days: counts of shape (days, features, bins), days with values likewise."""

    counts: Counts
    day_count: Counts


@dataclass(frozen=True)
class _Profile:
    """Counts of one (model version, deployment, segment), summed up to each edge of the buckets."""

    group: tuple[str, ...]
    features: Sequence[str]
    bins: Sequence[FeatureBins | None]
    counts: Counts  # shape (edges, features, bins)
    day_counts: Counts  # shape (edges, features)
    training: Counts  # shape (features, bins)
    buckets: Buckets

    @classmethod
    def of(
        cls,
        group: tuple[str, ...],
        features: Sequence[str],
        counts: pa.Table,
        day_counts: pa.Table,
        buckets: Buckets,
        version: ModelVersion,
    ) -> _Profile:
        bins = [version.score_bins if name == SCORE else version.features[name] for name in features]
        width = max(FIRST_RANGE + 1, *(one.bin_count for one in bins if one is not None))
        edges = len(buckets.edges)
        training = np.zeros((len(features), width), dtype=np.int64)
        for position, (name, one) in enumerate(zip(features, bins, strict=True)):
            reference = version.reference_of(name, group[-1])
            if one is not None and reference is not None:
                training[position, : len(reference)] = reference
        return cls(
            group,
            features,
            bins,
            _cumulative((edges, len(features), width), counts, features, ("bin_id",), "row_count"),
            _cumulative((edges, len(features)), day_counts, features, (), "day_count"),
            training,
            buckets,
        )

    def compare(self, days: Sequence[date], settings: DriftSettings) -> Iterator[pa.Table]:
        """Rows per window, reference and statistic, of the days on which any window has a prediction."""
        longest = self._window([Span.window(day, max(settings.windows_days)) for day in days])
        days = [days[position] for position in np.flatnonzero(longest.counts.any(axis=(1, 2))).tolist()]
        if not days:
            return
        last_day = self._window([Span.window(day, 1) for day in days])
        for length in settings.windows_days:
            spans = [Span.window(day, length) for day in days]
            current = self._window(spans)
            for reference in settings.references:
                compared = self._reference(reference, spans)
                reasons = _reasons(current, last_day, compared, length, settings)
                for statistic in dict.fromkeys((*settings.statistics.numeric, *settings.statistics.categorical)):
                    comparison = self._comparison(statistic, current.counts, compared.counts, settings)
                    yield self._rows(days, length, compared, statistic, current, comparison, reasons, settings)

    def _window(self, spans: Sequence[Span]) -> _Window:
        return _Window(self.buckets.sums(spans, self.counts), self.buckets.sums(spans, self.day_counts))

    def _reference(self, reference: ReferenceKind | Period, windows: Sequence[Span]) -> _Reference:
        """What each window is compared with."""
        if reference == "training":
            return _Reference("training", self.training[np.newaxis])
        spans = [reference_spans(reference, window) for window in windows]
        whole = self._window([one.whole for one in spans])
        is_cut = np.array([one.without.day_count > 0 for one in spans])
        cut = self._window([one.without for one in spans if one.without.day_count])
        whole.counts[is_cut] -= cut.counts
        whole.day_count[is_cut] -= cut.day_count
        name = reference.name if isinstance(reference, Period) else reference
        return _Reference(name, whole.counts, whole.day_count, np.array([one.day_count for one in spans]))

    def _of_kind(self, kind: Kind) -> NDArray[np.int64]:
        """Positions of the features of a kind."""
        is_numeric = [one is None or one.grid is not None for one in self.bins]
        return np.flatnonzero(np.array(is_numeric) == (kind == "numeric"))

    def _comparison(self, statistic: str, current: Counts, reference: Counts, settings: DriftSettings) -> Comparison:
        """Value and noise, shape (days, features); nan where a statistic is not defined for a feature or not asked for."""
        shape = current.shape[:-1]
        value, floor, p_value, bound = (np.full(shape, np.nan) for _ in range(4))
        for kind in KINDS:
            places = self._of_kind(kind)
            if statistic in settings.statistics.of(kind) and len(places):
                sides = self._sides(places, current, reference, settings.smoothing)
                found = STATISTICS[statistic].compare(sides)
                value[:, places], floor[:, places], p_value[:, places] = found.value, found.noise_floor, found.p_value
                if found.error_bound is not None:
                    bound[:, places] = found.error_bound
        return Comparison(value, floor, p_value, bound)

    def _sides(self, places: NDArray[np.int64], current: Counts, reference: Counts, smoothing: float) -> Sides:
        bins = [self.bins[place] for place in places.tolist()]
        current, reference = current[:, places], reference[:, places]
        merge = _coarse_merge(bins, current.shape[-1])
        return Sides(
            current,
            reference,
            np.einsum("dfb,fbc->dfc", current, merge),
            np.einsum("dfb,fbc->dfc", reference, merge),
            _borders(bins, current.shape[-1] - 2),
            smoothing,
        )

    def _rows(
        self,
        days: Sequence[date],
        window_days: int,
        reference: _Reference,
        statistic: str,
        current: _Window,
        comparison: Comparison,
        reasons: _Reasons,
        settings: DriftSettings,
    ) -> pa.Table:
        kinds = [kind for kind in KINDS if statistic in settings.statistics.of(kind)]
        places = np.sort(np.concatenate([self._of_kind(kind) for kind in kinds]))
        warn, drift = settings.thresholds_of(statistic)
        q_values = benjamini_hochberg(comparison.p_value)
        outcome = _outcomes(comparison, q_values, reasons.position, warn, drift, settings)
        sizes = current.counts.sum(axis=-1)
        day_index, feature_index = (index.ravel() for index in np.indices((len(days), len(places))))
        constants = dict(zip(_GROUP, self.group, strict=True)) | {"reference": reference.name, "statistic": statistic}

        def flat(values: NDArray[Any] | float) -> NDArray[Any]:
            return np.broadcast_to(values, sizes.shape)[:, places].ravel()

        columns = {
            "dt": pa.array(days, pa.date32()).take(pa.array(day_index)),
            "feature": pa.array(self.features, pa.string()).take(pa.array(places[feature_index])),
            **{name: pa.repeat(pa.scalar(value, pa.string()), len(day_index)) for name, value in constants.items()},
            "window_days": pa.repeat(pa.scalar(window_days, pa.int32()), len(day_index)),
            "value": flat(comparison.value),
            "noise_floor": flat(comparison.noise_floor),
            "error_bound": flat(np.nan if comparison.error_bound is None else comparison.error_bound),
            "p_value": flat(comparison.p_value),
            "q_value": flat(q_values),
            "current_count": flat(sizes),
            "current_day_count": flat(current.day_count),
            "reference_count": flat(reference.counts.sum(axis=-1)),
            "warn_threshold": pa.repeat(pa.scalar(warn, pa.float64()), len(day_index)),
            "drift_threshold": pa.repeat(pa.scalar(drift, pa.float64()), len(day_index)),
            "outcome": pa.array(OUTCOMES, pa.string()).take(pa.array(flat(outcome))),
            "reason": pa.array(reasons.texts, pa.string()).take(pa.array(flat(reasons.position))),
        }
        return pa.table(
            {field.name: _column(columns[field.name], field.type) for field in _ROW_SCHEMA}, schema=_ROW_SCHEMA
        )


@dataclass(frozen=True, slots=True)
class _Reference:
    """What windows are compared with: counts of shape (days or 1, features, bins).

    `day_count` are its days with values, shape (days, features), of `length`, shape (days,), that it could have; None for
    training data.
    """

    name: str
    counts: Counts
    day_count: Counts | None = None
    length: Counts | None = None


@dataclass(frozen=True, slots=True)
class _Reasons:
    """Why comparisons are not to be judged: positions in `texts`, shape (days, features), 0 if they are."""

    position: NDArray[np.int64]
    texts: Sequence[str | None]


def _reasons(
    current: _Window, last_day: _Window, reference: _Reference, window_days: int, settings: DriftSettings
) -> _Reasons:
    sizes, reference_sizes = current.counts.sum(axis=-1), reference.counts.sum(axis=-1)
    # A window that a version has only begun or just left holds some weekdays and not others: that is no drift.
    needed_days = math.ceil(settings.minimum_days_share * window_days)
    conditions = {
        "no training values to compare with": (reference_sizes == 0) & (reference.name == "training"),
        "no predictions in the reference": reference_sizes == 0,
        "no predictions in the window": sizes == 0,
        "no predictions on the day": last_day.day_count == 0,
        f"predictions on fewer than {needed_days} of {window_days} days": current.day_count < needed_days,
        f"fewer than {settings.minimum_rows} rows in the window": sizes < settings.minimum_rows,
    }
    if reference.day_count is not None and reference.length is not None:
        needed = np.ceil(settings.minimum_days_share * reference.length)[:, np.newaxis]
        conditions |= {
            "predictions on too few days of the reference": reference.day_count < needed,
            f"fewer than {settings.minimum_rows} rows in the reference": reference_sizes < settings.minimum_rows,
        }
    matched = [np.broadcast_to(condition, sizes.shape) for condition in conditions.values()]
    return _Reasons(np.select(matched, list(range(1, len(matched) + 1)), default=0), (None, *conditions))


def _outcomes(
    comparison: Comparison,
    q_values: Floats,
    reason: NDArray[np.int64],
    warn: float | None,
    drift: float | None,
    settings: DriftSettings,
) -> NDArray[np.int64]:
    size = np.abs(comparison.value)
    is_believed = (size > comparison.noise_floor) & (q_values <= settings.false_alarm_rate)
    outcomes: NDArray[np.int64] = np.select(
        [
            (reason > 0) | np.isnan(comparison.value),
            ~is_believed,
            size >= (np.inf if drift is None else drift),
            size >= (0 if warn is None else warn),
        ],
        [_INSUFFICIENT, _STABLE, _DRIFT, _WARN],
        default=_STABLE,
    )
    return outcomes


def _cumulative(
    shape: tuple[int, ...], rows: pa.Table, features: Sequence[str], further: Sequence[str], value: str
) -> Counts:
    """Rows added up at their place (bucket, feature, `further` columns) and then from each edge to the next."""
    positions = pc.index_in(rows["feature"], pa.array(features, pa.string())).combine_chunks()
    is_wanted = positions.is_valid()
    rows, positions = rows.filter(is_wanted), positions.filter(is_wanted).to_numpy()
    totals = np.zeros(shape, dtype=np.int64)
    # what lies in a bucket is counted from its end on
    place = (rows["bucket"].to_numpy() + 1, positions, *(rows[name].to_numpy() for name in further))
    np.add.at(totals, place, rows[value].to_numpy())
    np.cumsum(totals, axis=0, out=totals)
    return totals


def _coarse_merge(bins: Sequence[FeatureBins | None], width: int) -> Counts:
    """Which coarse bin each bin is part of, as ones of shape (features, bins, coarse bins)."""
    ids = np.zeros((len(bins), width), dtype=np.int64)
    for position, one in enumerate(bins):
        if one is not None:
            ids[position, : one.bin_count] = one.coarse_ids
    merge: Counts = (ids[..., np.newaxis] == np.arange(ids.max() + 1)).astype(np.int64)
    return merge


def _borders(bins: Sequence[FeatureBins | None], count: int) -> Floats:
    """Borders of the range bins, shape (features, count); the last one is repeated where a feature has fewer."""
    borders = np.full((len(bins), count), np.nan)
    for position, one in enumerate(bins):
        if one is not None and one.grid is not None:
            borders[position] = np.pad(one.borders, (0, count - len(one.borders)), mode="edge")
    return borders


def _column(values: pa.Array | NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind, from_pandas=True) if isinstance(values, np.ndarray) else values


_ROW_SCHEMA = pa.schema(
    [
        ("dt", pa.date32()),
        *((name, pa.string()) for name in _GROUP),
        ("feature", pa.string()),
        ("window_days", pa.int32()),
        ("reference", pa.string()),
        ("statistic", pa.string()),
        ("value", pa.float64()),
        ("noise_floor", pa.float64()),
        ("error_bound", pa.float64()),
        ("p_value", pa.float64()),
        ("q_value", pa.float64()),
        ("current_count", pa.int64()),
        ("current_day_count", pa.int32()),
        ("reference_count", pa.int64()),
        ("warn_threshold", pa.float64()),
        ("drift_threshold", pa.float64()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
    ]
)
