"""Windows of daily counts compared with the training data: rows of feature_drift and prediction_drift.

Windows are sums over the daily profiles, so any number of days costs the same. Not here: the statistics
(divergence.py) and reading or storing (nightly.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake.arrays import Counts, Floats
from driftlake.config import DriftSettings, DriftStatistic
from driftlake.divergence import STATISTICS, Comparison, benjamini_hochberg
from driftlake.inputs import days_between
from driftlake.versions import SCORE, ModelVersion

OUTCOMES = ("stable", "warn", "drift", "insufficient_data")
_STABLE, _WARN, _DRIFT, _INSUFFICIENT = range(4)

_GROUP = ("model_id", "model_version", "deployment", "segment")


@dataclass(frozen=True, slots=True)
class _DailyCounts:
    """Coarse counts of one (model version, deployment, segment), shape (days, features, coarse bins)."""

    group: tuple[str, ...]
    features: tuple[str, ...]
    counts: Counts
    reference: Counts  # shape (features, coarse bins)

    def windows(self, ends: Counts, window_days: int) -> _Window:
        """The windows that end before each of the day positions `ends`."""
        total = np.concatenate([np.zeros_like(self.counts[:1]), np.cumsum(self.counts, axis=0)])
        has_rows = self.counts.sum(axis=-1) > 0
        seen = np.concatenate([np.zeros_like(has_rows[:1], dtype=np.int64), np.cumsum(has_rows, axis=0)])
        return _Window(
            window_days,
            total[ends] - total[ends - window_days],
            seen[ends] - seen[ends - window_days],
            has_rows[ends - 1],
        )


@dataclass(frozen=True, slots=True)
class _Window:
    """Sums over the window that ends with each of some days, shape (days, features[, coarse bins])."""

    window_days: int
    counts: Counts
    day_count: Counts
    has_rows_on_last_day: NDArray[np.bool_]


def compare_with_training(
    coarse_counts: pa.Table,
    versions: Mapping[tuple[str, str], ModelVersion],
    settings: DriftSettings,
    *,
    first_day: date,
    last_day: date,
) -> tuple[pa.Table, pa.Table]:
    """Rows of feature_drift and of prediction_drift for every day from `first_day` to `last_day`.

    `coarse_counts` holds the rows of sql/coarse_counts.sql from `longest_window - 1` days before `first_day` on.
    """
    longest = max(settings.windows_days)
    days = days_between(first_day, last_day)
    history = len(days) + longest - 1
    origin = np.datetime64(days[0], "D") - (longest - 1)
    features: list[pa.Table] = []
    scores: list[pa.Table] = []
    for group, rows in _by_group(coarse_counts):
        version = versions[group[0], group[1]]
        offsets = (rows["dt"].to_numpy().astype("datetime64[D]") - origin).astype(np.int64)
        for names, into in ((tuple(version.features), features), ((SCORE,), scores)):
            daily = _daily_counts(group, names, rows, offsets, history, version)
            into.append(_compare_group(daily, days, settings))
    prediction_drift = pa.concat_tables([_empty_rows(), *scores]).drop_columns(["feature"])
    return pa.concat_tables([_empty_rows(), *features]), prediction_drift


def _by_group(table: pa.Table) -> list[tuple[tuple[str, ...], pa.Table]]:
    groups = table.select(_GROUP).group_by(list(_GROUP)).aggregate([]).sort_by([(name, "ascending") for name in _GROUP])
    found = []
    for row in groups.to_pylist():
        mask = None
        for name in _GROUP:
            equal = pc.equal(table[name], row[name])
            mask = equal if mask is None else pc.and_(mask, equal)
        found.append((tuple(row[name] for name in _GROUP), table.filter(mask)))
    return found


def _daily_counts(
    group: tuple[str, ...],
    names: Sequence[str],
    rows: pa.Table,
    offsets: NDArray[np.int64],
    day_count: int,
    version: ModelVersion,
) -> _DailyCounts:
    references = [_coarse_reference(version, name) for name in names]
    width = max((len(reference) for reference in references), default=1)
    reference = np.zeros((len(names), width), dtype=np.int64)
    for position, counts in enumerate(references):
        reference[position, : len(counts)] = counts
    positions = pc.index_in(rows["feature"], pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
    is_wanted = ~np.isnan(positions.astype(float))
    place = (offsets[is_wanted], positions[is_wanted].astype(np.int64), rows["coarse_bin_id"].to_numpy()[is_wanted])
    daily = np.zeros((day_count, len(names), width), dtype=np.int64)
    np.add.at(daily, place, rows["row_count"].to_numpy()[is_wanted])
    return _DailyCounts(group, tuple(names), daily, reference)


def _coarse_reference(version: ModelVersion, name: str) -> Counts:
    bins = version.score_bins if name == SCORE else version.features[name]
    if bins is None:
        return np.zeros(1, dtype=np.int64)
    counts = version.reference_counts[name]
    return np.bincount(bins.coarse_ids, weights=counts).astype(np.int64)


def _compare_group(daily: _DailyCounts, days: Sequence[date], settings: DriftSettings) -> pa.Table:
    longest = max(settings.windows_days)
    ends = np.arange(longest, longest + len(days))
    # a version says nothing about days on which none of its windows has a prediction
    is_alive = daily.windows(ends, longest).counts.sum(axis=(1, 2)) > 0
    alive_days = [day for day, alive in zip(days, is_alive.tolist(), strict=True) if alive]
    tables = [_empty_rows()]
    for window_days in settings.windows_days:
        window = daily.windows(ends[is_alive], window_days)
        for name, statistic in STATISTICS.items():
            comparison = statistic.compare(window.counts, daily.reference, settings.smoothing)
            tables.append(_rows(daily, alive_days, window, cast("DriftStatistic", name), comparison, settings))
    return pa.concat_tables(tables)


def _rows(
    daily: _DailyCounts,
    days: Sequence[date],
    window: _Window,
    statistic: DriftStatistic,
    comparison: Comparison,
    settings: DriftSettings,
) -> pa.Table:
    thresholds = settings.thresholds.of(statistic)
    sizes = window.counts.sum(axis=-1)
    reference_sizes = np.broadcast_to(daily.reference.sum(axis=-1), sizes.shape)
    q_values = benjamini_hochberg(comparison.p_value)
    reason, reasons = _reasons(window, reference_sizes, settings)
    outcome = np.select(
        [
            (reason > 0) | np.isnan(comparison.value),
            ~_is_believed(comparison, q_values, settings),
            np.abs(comparison.value) >= thresholds.drift,
            np.abs(comparison.value) >= thresholds.warn,
        ],
        [_INSUFFICIENT, _STABLE, _DRIFT, _WARN],
        default=_STABLE,
    )
    count = sizes.size
    constants = dict(zip(_GROUP, daily.group, strict=True))
    constants |= {"reference": "training", "statistic": statistic}
    day_index, feature_index = (index.ravel() for index in np.indices(sizes.shape))
    columns = {
        "dt": pa.array(days, pa.date32()).take(pa.array(day_index)),
        "feature": pa.array(daily.features, pa.string()).take(pa.array(feature_index)),
        **{name: pa.repeat(pa.scalar(value, pa.string()), count) for name, value in constants.items()},
        "window_days": pa.repeat(pa.scalar(window.window_days, pa.int32()), count),
        "value": _nullable(comparison.value),
        "noise_floor": _nullable(comparison.noise_floor),
        "p_value": _nullable(comparison.p_value),
        "q_value": _nullable(q_values),
        "current_count": pa.array(sizes.ravel(), pa.int64()),
        "current_day_count": pa.array(window.day_count.ravel(), pa.int32()),
        "reference_count": pa.array(reference_sizes.ravel(), pa.int64()),
        "warn_threshold": pa.repeat(pa.scalar(thresholds.warn), count),
        "drift_threshold": pa.repeat(pa.scalar(thresholds.drift), count),
        "outcome": pa.array(OUTCOMES, pa.string()).take(pa.array(outcome.ravel())),
        "reason": pa.array(reasons, pa.string()).take(pa.array(reason.ravel())),
    }
    return pa.table({name: columns[name] for name in _ROW_SCHEMA.names}, schema=_ROW_SCHEMA)


def _reasons(
    window: _Window, reference_sizes: Counts, settings: DriftSettings
) -> tuple[NDArray[np.int64], tuple[str | None, ...]]:
    """Why a comparison is not to be judged, as positions in the texts that are returned with them; 0 if it is."""
    sizes = window.counts.sum(axis=-1)
    # A window that a version has only begun or just left holds some weekdays and not others: that is no drift.
    needed_days = math.ceil(settings.minimum_days_share * window.window_days)
    reasons = (
        None,
        "no training values to compare with",
        "no predictions in the window",
        "no predictions on the day",
        f"predictions on fewer than {needed_days} of {window.window_days} days",
        f"fewer than {settings.minimum_rows} rows in the window",
    )
    conditions = [
        reference_sizes == 0,
        sizes == 0,
        ~window.has_rows_on_last_day,
        window.day_count < needed_days,
        sizes < settings.minimum_rows,
    ]
    return np.select(conditions, list(range(1, len(reasons))), default=0), reasons


def _is_believed(comparison: Comparison, q_values: Floats, settings: DriftSettings) -> NDArray[np.bool_]:
    above_noise: NDArray[np.bool_] = np.abs(comparison.value) > comparison.noise_floor
    return above_noise & (q_values <= settings.false_alarm_rate)


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values.ravel(), pa.float64(), from_pandas=True)


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


def _empty_rows() -> pa.Table:
    return _ROW_SCHEMA.empty_table()
