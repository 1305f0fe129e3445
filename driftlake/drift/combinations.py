"""Combinations of two features that are frequent in production and were rare in training: rows of rare_combinations.

Not here: counting (`driftlake.profiles.pair_counts`, `driftlake.training.reference_pairs`), and reading or storing
(`driftlake.nightly.derived`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import special

from driftlake.config import DriftSettings
from driftlake.drift.windows import EVERY_DAY, OpenDays, Span, days_needed
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.divergence import benjamini_hochberg
from driftlake.profiles.pair_counts import labels_in_pairs

# Rows added to every possible combination in training, so that none has an expected share of zero.
_SMOOTHING = 0.5
_TESTED_TOGETHER = ("dt", "window_days", "model_id", "model_version", "deployment")


def surge_p_value(current: Counts, reference: Counts, current_size: Counts, reference_size: Counts) -> Floats:
    """Probability that at least this many of the rows of a kind are current, if both sides have the same share of it.

    The exact conditional test of two proportions (Przyborowski and Wilenski 1940): of current + reference rows of the
    kind each is a current one with probability current_size / (current_size + reference_size). This includes the noise
    of the reference. All arrays have the same shape; 0 to 1, a small value is a surge. It misses a kind that vanishes.
    """
    probability = current_size / (current_size + reference_size)
    tail = special.bdtrc(np.maximum(current - 1, 0), current + reference, probability)
    # one row or more out of none
    return np.where(current > 0, tail, 1.0)


def rare_combinations(
    combinations: pa.Table,
    versions: Mapping[tuple[str, str], ModelVersion],
    settings: DriftSettings,
    open_days: OpenDays = EVERY_DAY,
) -> pa.Table:
    """Rows of rare_combinations, from rows of sql/drift/pair_windows.sql.

    The p-values of all combinations of a version, day and window are corrected together. Correcting only those of rare
    combinations would bias the test, because the same training counts would select the combinations and enter the test.
    """
    counts = [combinations[name].to_numpy() for name in _COUNTS]
    p_value = surge_p_value(*counts)
    q_value = np.ones_like(p_value)
    for rows in _slices(combinations):
        q_value[rows] = benjamini_hochberg(p_value[rows])
    is_rare = counts[1] < settings.rare_share * counts[3]
    found = np.flatnonzero(
        (q_value <= settings.false_alarm_rate) & is_rare & _is_judged(combinations, settings, open_days)
    )
    rows = combinations.take(pa.array(found)).to_pylist()
    told = [
        _row(row, versions[row["model_id"], row["model_version"]], float(p_value[place]), float(q_value[place]))
        for row, place in zip(rows, found, strict=True)
    ]
    return pa.Table.from_pylist(told, schema=arrow_schema("rare_combinations"))


def _slices(combinations: pa.Table) -> Iterator[slice]:
    """Slices of consecutive rows that are tested together."""
    codes = [combinations[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in _TESTED_TOGETHER]
    changes = np.any(np.diff(np.stack(codes), axis=1, prepend=-1) != 0, axis=0)
    starts = np.flatnonzero(changes).tolist()
    yield from map(slice, starts, [*starts[1:], combinations.num_rows])


def _is_judged(combinations: pa.Table, settings: DriftSettings, open_days: OpenDays) -> NDArray[np.bool_]:
    """Whether a window has the rows and days that every comparison needs."""
    windows = zip(combinations["dt"].to_pylist(), combinations["window_days"].to_pylist(), strict=True)
    needed = days_needed(settings.minimum_days_share, open_days.count([Span.window(*window) for window in windows]))
    has_days = combinations["current_day_count"].to_numpy() >= needed
    is_judged: NDArray[np.bool_] = has_days & (combinations["current_size"].to_numpy() >= settings.minimum_rows)
    return is_judged


def _row(row: Mapping[str, Any], version: ModelVersion, p_value: float, q_value: float) -> dict[str, Any]:
    labels = {side: labels_in_pairs(version.features[row[f"feature_{side}"]]) for side in ("a", "b")}
    cells = math.prod(len(of_side) for of_side in labels.values())
    share = (row["reference_count"] + _SMOOTHING) / (row["reference_size"] + _SMOOTHING * cells)
    return {
        **{name: row[name] for name in arrow_schema("rare_combinations").names if name in row},
        **{f"label_{side}": of_side[row[f"bin_{side}"]] for side, of_side in labels.items()},
        "expected_count": share * row["current_size"],
        "p_value": p_value,
        "q_value": q_value,
    }


_COUNTS = ("current_count", "reference_count", "current_size", "reference_size")
