"""Latencies of a prediction as a whole and of its stages: rows of service_profile, one metric per latency column.

Not here: the bins of one latency (`driftlake.profiles.kernel`), and levels per hour and node (`driftlake.profiles.service_calls`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake.maths.arrays import Floats
from driftlake.profiles.kernel import Grouping, LatencyAccumulator, LatencyCounts


@dataclass(frozen=True, slots=True)
class MetricCounts:
    """Rows per group and latency bin of every metric."""

    metrics: Mapping[str, LatencyCounts]

    @classmethod
    def combined(cls, parts: Sequence[MetricCounts]) -> MetricCounts:
        """Everything counted in all parts, which have the same metrics."""
        return cls({name: LatencyCounts.combined([part.metrics[name] for part in parts]) for name in parts[0].metrics})

    def columns(self) -> dict[str, Any]:
        """Columns of service_profile, each of shape (pairs of all metrics,)."""
        pieces = [counts.columns() for counts in self.metrics.values()]
        names = np.repeat(np.arange(len(pieces)), [len(piece["bin_id"]) for piece in pieces])
        metrics = pa.array(list(self.metrics), pa.string()).take(pa.array(names))
        return {"metric": metrics, **{name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}}


class MetricAccumulator:
    """Counts several latencies of the same rows."""

    def __init__(self, metrics: Sequence[str], grouping_count: int) -> None:
        self._parts = {name: LatencyAccumulator(grouping_count) for name in metrics}
        self._grouping_count = grouping_count

    def add_values(self, *latencies_ms: Floats, groupings: Sequence[Grouping]) -> None:
        """Count latencies in milliseconds, for each metric an array of shape (rows,), nan where there is none."""
        for part, of_metric in zip(self._parts.values(), latencies_ms, strict=True):
            part.add_values(of_metric, groupings)

    def counts(self) -> list[MetricCounts]:
        """Everything counted so far, per grouping."""
        counted = {name: part.counts() for name, part in self._parts.items()}
        return [
            MetricCounts({name: counts[grouping] for name, counts in counted.items()})
            for grouping in range(self._grouping_count)
        ]
