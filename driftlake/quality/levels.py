"""Levels of the predictions: rows of prediction_levels, from window sums and the training scores.

Not here: how far the scores are from training (`driftlake.drift.comparison`), and the sums (sql/quality/prediction_sums.sql,
sql/quality/class_sums.sql).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import ModelSettings
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import SCORE, ModelVersion
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE, FeatureBins, share_from
from driftlake.maths.ranking import wilson_interval

_GROUP = ("model_id", "model_version", "deployment", "segment")


@dataclass(frozen=True, slots=True)
class TrainingLevels:
    """The levels of training scores; nan where they are not known."""

    share_at_cut: float = np.nan
    mean_confidence: float = np.nan

    @classmethod
    def of(cls, bins: FeatureBins, counts: Counts, cut: float | None) -> TrainingLevels:
        """Compute them from counts per score bin, shape (bin_count,); scores inside a bin count as evenly spread."""
        size = counts[BELOW:].sum()
        if not size:
            return cls()
        middles = np.concatenate([bins.borders[[0, -1]], bins.ends.mean(axis=1)])
        confidence = float((counts[BELOW:] * np.maximum(middles, 1 - middles)).sum() / size)
        if cut is None:
            return cls(mean_confidence=confidence)
        by_score = np.concatenate([counts[[BELOW]], counts[FIRST_RANGE:], counts[[ABOVE]]])
        return cls(float((by_score * share_from(bins, cut)).sum() / size), confidence)


def measure(
    sums: pa.Table,
    classes: pa.Table,
    versions: Mapping[tuple[str, str], ModelVersion],
    models: Mapping[str, ModelSettings],
) -> pa.Table:
    """Rows of prediction_levels.

    Parameters
    ----------
    sums : rows of sql/quality/prediction_sums.sql
    classes : rows of sql/quality/class_sums.sql
    """
    training = _training_levels(sums, versions, models)
    scored = sums["scored_count"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, confidence = (sums[name].to_numpy() / scored for name in ("score_sum", "confidence_sum"))
    at_cut = sums["at_cut_count"].to_numpy().astype(np.float64)
    nothing = np.full(len(scored), np.nan)
    keys = list(zip(sums["model_id"].to_pylist(), sums["model_version"].to_pylist(), strict=True))
    has_cut = np.array([versions[key].decision_cut(models.get(key[0])) is not None for key in keys], dtype=bool)
    # of a multiclass model the score is the confidence already
    is_probability = np.array(
        [versions[key].score_kind == "probability" and not versions[key].classes for key in keys], dtype=bool
    )
    everything = np.ones(len(keys), dtype=bool)
    training_mean = sums["training_mean"].to_numpy().astype(np.float64)
    tables = [
        _rows(sums, "mean_score", mean, (nothing, nothing), scored, training_mean, everything),
        _rows(sums, "share_at_cut", *_shares(at_cut, scored), scored, training["share_at_cut"], has_cut),
        _rows(
            sums, "mean_confidence", confidence, (nothing, nothing), scored, training["mean_confidence"], is_probability
        ),
        _class_rows(classes),
    ]
    return pa.concat_tables([arrow_schema("prediction_levels").empty_table(), *tables])


def _training_levels(
    sums: pa.Table, versions: Mapping[tuple[str, str], ModelVersion], models: Mapping[str, ModelSettings]
) -> dict[str, Floats]:
    """The training levels of every row's version and segment, each of shape (rows,)."""
    names = ("model_id", "model_version", "segment")
    keys = list(zip(*(sums[name].to_pylist() for name in names), strict=True))
    found: dict[tuple[str, str, str], TrainingLevels] = {}
    for model_id, model_version, segment in dict.fromkeys(keys):
        version = versions[model_id, model_version]
        counts = version.reference_of(SCORE, segment)
        levels = TrainingLevels()
        if version.score_bins is not None and counts is not None:
            levels = TrainingLevels.of(version.score_bins, counts, version.decision_cut(models.get(model_id)))
        found[model_id, model_version, segment] = levels
    return {
        name: np.array([getattr(found[key], name) for key in keys], dtype=np.float64)
        for name in ("share_at_cut", "mean_confidence")
    }


def _shares(hits: Floats, size: Counts) -> tuple[Floats, tuple[Floats, Floats]]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return hits / size, wilson_interval(hits, size)


def _class_rows(classes: pa.Table) -> pa.Table:
    total = classes["total_count"].to_numpy()
    share, interval = _shares(classes["row_count"].to_numpy(), total)
    nothing, everything = np.full(len(total), np.nan), np.ones(len(total), dtype=bool)
    return _rows(classes, "class_share", share, interval, total, nothing, everything)


def _rows(
    groups: pa.Table,
    statistic: str,
    value: Floats,
    interval: tuple[Floats, Floats],
    size: Counts,
    baseline: Floats,
    is_applicable: NDArray[np.bool_],
) -> pa.Table:
    """Rows of one statistic for the groups to which it applies; arrays have shape (groups,)."""
    numbers = dict(zip(("value", "confidence_low", "confidence_high"), (value, *interval), strict=True))
    is_known = ~np.isnan(value)
    # the cut is missing only on days that were counted before the model had one
    reason = np.select([is_known, size == 0], ["", "no scores in the window"], "days counted without a decision cut")
    columns: dict[str, Any] = {
        **{name: groups[name] for name in ("dt", *_GROUP, "window_days")},
        "statistic": pa.repeat(pa.scalar(statistic), groups.num_rows),
        "predicted_class": groups["predicted_class"]
        if "predicted_class" in groups.column_names
        else pa.nulls(groups.num_rows, pa.string()),
        **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in numbers.items()},
        "prediction_count": pa.array(size, pa.int64()),
        "baseline_value": pa.array(baseline, pa.float64(), from_pandas=True),
        "outcome": pa.array(np.where(is_known, "measured", "insufficient_data").tolist(), pa.string()),
        "reason": pa.array([text or None for text in reason.tolist()], pa.string()),
    }
    return pa.table(columns, schema=arrow_schema("prediction_levels")).filter(pa.array(is_applicable))
