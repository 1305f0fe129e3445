"""Registered model versions with their bins and reference counts, as the nightly stages need them.

Not here: how a version is registered (registration.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake import binning
from driftlake.arrays import Counts
from driftlake.binning import FeatureBins
from driftlake.warehouse import Warehouse

SCORE = "score"


@dataclass(frozen=True)
class ModelVersion:
    """A registered version, as the nightly stages need it."""

    model_id: str
    model_version: str
    score_kind: str
    features: Mapping[str, FeatureBins]
    score_bins: FeatureBins | None
    baseline_auc: float | None = None
    reference_counts: Mapping[str, Counts] = field(default_factory=dict)

    def reference_of(self, feature: str, segment: str) -> Counts | None:
        """Training counts of a feature, or of the score, in a segment, shape (bin_count,); None if there are none."""
        return self.reference_counts.get(feature) if segment == "all" else None

    @property
    def score_grid(self) -> binning.Grid | None:
        """Grid of the score; None for a version without scores."""
        return self.score_bins.grid if self.score_bins else None


def load_versions(warehouse: Warehouse) -> dict[tuple[str, str], ModelVersion]:
    """Every registered version with its bins and reference counts."""
    # first, so that a version that is registered meanwhile lacks nothing
    runs = warehouse.sql("select * from training_runs order by model_id, model_version").to_pylist()
    bin_rows = _grouped(warehouse.sql("select * from feature_bins"))
    categories = _grouped(warehouse.sql("select * from feature_categories"))
    counts = _grouped(warehouse.sql("select * from reference_profile"))
    versions = {}
    for run in runs:
        key = (run["model_id"], run["model_version"])
        bins = {
            feature: FeatureBins.from_rows(rows, {c["category"]: c["bin_id"] for c in categories[*key, feature]})
            for (*owner, feature), rows in bin_rows.items()
            if tuple(owner) == key
        }
        versions[key] = ModelVersion(
            *key,
            score_kind=run["score_kind"],
            features={name: bins[name] for name in run["features"]},
            score_bins=bins.get(SCORE),
            baseline_auc=run["baseline_auc"],
            reference_counts={name: _dense(counts[*key, name], each.bin_count) for name, each in bins.items()},
        )
    return versions


def _grouped(table: pa.Table) -> defaultdict[tuple[str, ...], list[dict[str, Any]]]:
    groups: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        groups[row["model_id"], row["model_version"], row["feature"]].append(row)
    return groups


def _dense(rows: Sequence[Mapping[str, Any]], bin_count: int) -> Counts:
    counts = np.zeros(bin_count, dtype=np.int64)
    for row in rows:
        counts[row["bin_id"]] = row["row_count"]
    return counts
