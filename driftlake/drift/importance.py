"""How important features are to the predictions of a window, against training: rows of importance_drift.

The importance of a feature is its mean absolute SHAP value. Not here: summing SHAP values (`driftlake.profiles.shap_sums`),
and reading or storing (`driftlake.nightly.derived`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake.config import DriftSettings
from driftlake.drift.windows import EVERY_DAY, OpenDays, days_needed
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Floats
from driftlake.maths.segments import ALL

_WINDOW = ("dt", "window_days", "model_id", "model_version", "deployment", "segment")


def ndcg(current: Floats, reference: Floats) -> float:
    """Normalised discounted cumulative gain of the current ranking of features, shape (features,) both.

    Features are ordered by current importance. The gain of each is its reference importance divided by log2(rank + 1),
    and the sum of the gains is divided by the sum for the reference order. 1 is the same ranking; 0 is never reached.
    Features of equal current importance share the mean of their gains. As in Amazon SageMaker Clarify (feature
    attribution drift); Järvelin and Kekäläinen 2002. It misses shares that change without a change of order.
    """
    discounts = 1 / np.log2(np.arange(2, len(current) + 2))
    _, group, sizes = np.unique(-current, return_inverse=True, return_counts=True)
    gains = np.repeat(np.bincount(group, reference) / sizes, sizes)
    return float((discounts * gains).sum() / (discounts * np.sort(reference)[::-1]).sum())


def ranks(importance: Floats) -> Floats:
    """Rank of each feature, 1 being the most important; equal ones share the mean of their ranks, shape (features,)."""
    _, group, sizes = np.unique(-importance, return_inverse=True, return_counts=True)
    mean_ranks: Floats = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    return mean_ranks


def compare_importance(
    windows: pa.Table,
    versions: Mapping[tuple[str, str], ModelVersion],
    settings: DriftSettings,
    open_days: OpenDays = EVERY_DAY,
) -> pa.Table:
    """Rows of importance_drift, from rows of sql/drift/importance_windows.sql."""
    rows: list[dict[str, Any]] = []
    for key, of_window in groupby(windows.to_pylist(), key=itemgetter(*_WINDOW)):
        window = dict(zip(_WINDOW, key, strict=True))
        version = versions[window["model_id"], window["model_version"]]
        compared = _Compared.of(
            list(of_window), version, open_days.of_window(window["dt"], window["window_days"]), settings
        )
        # there can be hundreds of segments, so those that could not be judged get no row
        if compared.reason is None or window["segment"] == ALL:
            rows += [window | row for row in compared.rows(settings)]
    return pa.Table.from_pylist(rows, schema=arrow_schema("importance_drift"))


@dataclass(frozen=True, slots=True)
class _Compared:
    """Importance of the features in a window and in its reference, each of shape (features,)."""

    features: Sequence[str]
    current: Floats
    current_counts: Sequence[int]
    reference: Floats
    reference_name: str
    reason: str | None

    @classmethod
    def of(
        cls, rows: Sequence[Mapping[str, Any]], version: ModelVersion, expected_days: int, settings: DriftSettings
    ) -> _Compared:
        features = list(version.features)
        by_feature = {row["feature"]: row for row in rows}
        sides = {side: _Side.of(side, by_feature, features) for side in ("current", "preceding")}
        trained = np.array([abs(version.feature_importance.get(name, 0.0)) for name in features])
        name = "training" if trained.any() else "preceding"
        judged = {"current": sides["current"]} if name == "training" else sides
        reason = next(
            (found for side, ranking in judged.items() if (found := ranking.problem(side, expected_days, settings))),
            None,
        )
        reference = trained if name == "training" else sides["preceding"].importance
        return cls(features, sides["current"].importance, sides["current"].counts, reference, name, reason)

    def rows(self, settings: DriftSettings) -> Iterator[dict[str, Any]]:
        """A row of the whole model, and three of every feature."""
        limits = settings.importance
        value = None if self.reason else ndcg(self.current, self.reference)
        yield self._row("ndcg", None, value, max(self.current_counts), is_drift=(value or 0) < limits.minimum_ndcg)
        if self.reason:
            return
        now, before = self.current / self.current.sum(), self.reference / self.reference.sum()
        changes = {"rank_change": ranks(self.reference) - ranks(self.current), "share_change": now - before}
        is_dominant = (now >= limits.dominant_share) & (now > limits.dominant_growth * before)
        for place, (feature, count) in enumerate(zip(self.features, self.current_counts, strict=True)):
            for statistic, values in changes.items():
                yield self._row(statistic, feature, float(values[place]), count, is_drift=None)
            yield self._row("dominant", feature, float(now[place]), count, is_drift=bool(is_dominant[place]))

    def _row(
        self, statistic: str, feature: str | None, value: float | None, count: int, *, is_drift: bool | None
    ) -> dict[str, Any]:
        outcome = None if is_drift is None else "drift" if is_drift else "stable"
        return {
            "feature": feature,
            "reference": self.reference_name,
            "statistic": statistic,
            "value": value,
            "current_count": count,
            "outcome": "insufficient_data" if self.reason else outcome,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class _Side:
    """A period: explained predictions and mean absolute SHAP value of every feature, and days that have any."""

    counts: Sequence[int]
    importance: Floats
    day_count: int

    @classmethod
    def of(cls, name: str, rows: Mapping[str, Mapping[str, Any]], features: Sequence[str]) -> _Side:
        counts = [rows[feature][f"{name}_count"] if feature in rows else 0 for feature in features]
        sums = np.array([rows[feature][f"{name}_sum"] if feature in rows else 0.0 for feature in features])
        days = max((row[f"{name}_day_count"] for row in rows.values()), default=0)
        return cls(counts, sums / np.maximum(counts, 1), days)

    def problem(self, name: str, expected_days: int, settings: DriftSettings) -> str | None:
        """Why this side cannot be judged."""
        where = "in the window" if name == "current" else "in the window before, and the lineage has no importance"
        needed_days = int(days_needed(settings.minimum_days_share, expected_days))
        if not self.importance.any():
            return f"all importances are zero {where}"
        if self.day_count < needed_days:
            return f"predictions with SHAP values on fewer than {needed_days} of {expected_days} days {where}"
        if max(self.counts) < settings.minimum_rows:
            return f"fewer than {settings.minimum_rows} predictions with SHAP values {where}"
        return None
