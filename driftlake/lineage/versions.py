"""Registered model versions with their bins and reference counts, as the nightly stages need them.

Not here: how a version is registered (`driftlake.training.registration`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa

from driftlake.config import ModelSettings
from driftlake.lake.grouping import grouped
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.label_meaning import LabelMeaning
from driftlake.lineage.lineage_files import score_divisor
from driftlake.maths import binning
from driftlake.maths.arrays import Counts
from driftlake.maths.binning import MISSING, FeatureBins
from driftlake.maths.numeric_bins import LARGEST_SHARE
from driftlake.maths.segments import ALL
from driftlake.maths.value_text import category_text

SCORE = "score"
# A version that predicted within this many days is still measured and judged.
RECENT_DAYS = 7


@dataclass(frozen=True, slots=True)
class TrainingLabels:
    """Labels of the training data: counts per score bin, shape (bins,), and sums over those that have a score, by name."""

    positives: Counts
    negatives: Counts
    scored_count: int
    scored_sums: Mapping[str, float]

    def mean(self, name: str) -> float | None:
        """Mean of a stored sum over the labels with a score; None if there is no such sum."""
        total = self.scored_sums.get(name)
        return total / self.scored_count if total is not None and self.scored_count else None

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], bin_count: int) -> TrainingLabels | None:
        """Build it from the rows of reference_label_profile of a version; None without any label."""
        positives, negatives, numbers = (np.zeros(bin_count, dtype=np.int64) for _ in range(3))
        for row in rows:
            bin_id = row["bin_id"]
            positives[bin_id], negatives[bin_id] = row["positive_count"], row["negative_count"]
            numbers[bin_id] = row["number_count"]
        counts = positives + negatives + numbers
        if not counts.any():
            return None
        scored = [row for row in rows if row["bin_id"] != MISSING]
        names = [name for name in rows[0] if name.endswith("_sum")]
        known = {name: [row[name] for row in scored if row[name] is not None] for name in names}
        sums = {name: float(sum(found)) for name, found in known.items() if found}
        return cls(positives, negatives, int(counts.sum() - counts[MISSING]), sums)


# A bin with a larger share has a single frequent value, or the feature has fewer bins than usual.
_LARGEST_USUAL_SHARE = 1.2 * LARGEST_SHARE


def describe_features(kinds: Mapping[str, str], left_out: Sequence[str]) -> str:
    """A sentence with the features, their kinds, and the columns that were left out."""
    named = [f"{name} ({kind})" for name, kind in kinds.items()]
    description = f"features: {', '.join(named) or 'none'}"
    return f"{description}; left out: {', '.join(left_out)}" if left_out else description


@dataclass(frozen=True)
class ModelVersion:
    """A registered version, as the nightly stages need it."""

    model_id: str
    model_version: str
    # probability or value: a percentage is a probability once it is divided by `score_divisor`
    score_kind: str
    features: Mapping[str, FeatureBins]
    score_bins: FeatureBins | None
    score_divisor: int = 1
    task: str = "binary"
    quantile: float | None = None
    # of a multiclass model, as the lineage writes them
    classes: tuple[str, ...] = ()
    # of a binary model whose labels are others than 0 and 1, as canonical texts
    positive_label: str | None = None
    negative_label: str | None = None
    baseline_auc: float | None = None
    baseline_accuracy: float | None = None
    baseline_f1_score: float | None = None
    reference_counts: Mapping[str, Counts] = field(default_factory=dict)
    # by segment and then by feature
    segment_reference_counts: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)
    training_labels: TrainingLabels | None = None
    # by feature; empty for a version that was registered before types were stored
    feature_types: Mapping[str, str] = field(default_factory=dict)
    feature_importance: Mapping[str, float] = field(default_factory=dict)
    training_dataset_id: str | None = None
    # columns of the training data that are not features, each with the reason
    columns_left_out: tuple[str, ...] = ()

    @property
    def owner(self) -> dict[str, str]:
        """The columns that identify the version in every row."""
        return {"model_id": self.model_id, "model_version": self.model_version}

    @property
    def has_label_classes(self) -> bool:
        """Whether its labels are classes, two or more, rather than numbers."""
        return bool(self.classes) or self.positive_label is not None

    @property
    def label_meaning(self) -> LabelMeaning | None:
        """Which label is positive; None if labels are 0 and 1, and for other tasks."""
        return LabelMeaning(self.positive_label, self.negative_label) if self.positive_label else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Its classes, written as labels and predictions are read."""
        return tuple(category_text(name) for name in self.classes)

    @property
    def features_description(self) -> str:
        """A sentence with its features, their kinds, and the columns that were left out."""
        kinds = {name: "number" if bins.grid else "category" for name, bins in self.features.items()}
        return describe_features(kinds, self.columns_left_out)

    def bins_of(self, feature: str) -> FeatureBins | None:
        """Bins of a feature, or of the score; None if the version has no such feature."""
        return self.score_bins if feature == SCORE else self.features.get(feature)

    def reference_of(self, feature: str, segment: str) -> Counts | None:
        """Training counts of a feature, or of the score, in a segment, shape (bin_count,); None if there are none."""
        counts = self.reference_counts if segment == ALL else self.segment_reference_counts.get(segment, {})
        return counts.get(feature)

    def heaviest_bins(self) -> dict[str, float]:
        """Numeric features in which a bin of several values has more than 1 % of the training rows, with its share.

        The KS distance can miss shifts of up to this share. A bin of a single value hides no shift, however large its share is.
        """
        shares = {}
        for name, bins in self.features.items():
            counts = self.reference_counts[name]
            if bins.grid is not None and counts[1:].any():
                low, high = bins.ends.T
                shares[name] = float((counts[binning.FIRST_RANGE :] * (low < high)).max() / counts[1:].sum())
        return {name: share for name, share in shares.items() if share > _LARGEST_USUAL_SHARE}

    def decision_cut(self, settings: ModelSettings | None) -> float | None:
        """Smallest score that counts as a positive prediction; None if there is no such score."""
        if self.task != "binary":
            return None
        given = settings.decision_cut if settings else None
        return 0.5 if given is None and self.score_kind == "probability" else given

    @property
    def score_grid(self) -> binning.Grid | None:
        """Grid of the score; None for a version without scores."""
        return self.score_bins.grid if self.score_bins else None


def load_versions(warehouse: Warehouse) -> dict[tuple[str, str], ModelVersion]:
    """Every registered version with its bins and reference counts.

    Each stage of a run needs them, so they are cached until a version is registered or something is appended.
    """
    with warehouse.one_snapshot():
        registered = _rows(warehouse.sql("select * from training_runs order by model_id, model_version"))
        cached = _cached_versions.get(warehouse)
        if cached is None or cached.runs != registered or cached.append_count != warehouse.append_count:
            cached = _CachedVersions(registered, warehouse.append_count, _read_versions(warehouse, registered))
            _cached_versions[warehouse] = cached
    return dict(cached.versions)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows, instants as numbers: to make Python's of them pyarrow imports pandas, which takes 0.3 s."""
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    rows: list[dict[str, Any]] = pa.table(columns, names=table.column_names).to_pylist()
    return rows


@dataclass(frozen=True, slots=True)
class _CachedVersions:
    """Cached versions, with the rows of training_runs and the number of appended changes at the time of reading."""

    runs: Sequence[Mapping[str, Any]]
    append_count: int
    versions: Mapping[tuple[str, str], ModelVersion]


_cached_versions: WeakKeyDictionary[Warehouse, _CachedVersions] = WeakKeyDictionary()


def _read_versions(warehouse: Warehouse, runs: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], ModelVersion]:
    stored_bins = _by_feature(warehouse.sql(f"from feature_bins order by {_OF_FEATURE}, bin_id"))
    categories = _by_feature(warehouse.sql(f"from feature_categories order by {_OF_FEATURE}"))
    counts = _by_feature(warehouse.sql(f"from reference_profile order by {_OF_FEATURE}"))
    segments = _by_segment(warehouse.query("lineage/segment_references"))
    labels = grouped(warehouse.sql("from reference_label_profile"), ["model_id", "model_version"])
    versions = {}
    for run in runs:
        key = (run["model_id"], run["model_version"])
        bins = {
            feature: FeatureBins.from_columns(columns, _bin_of_categories(categories.get((*key, feature))))
            for feature in [*run["features"], SCORE]
            if (columns := stored_bins.get((*key, feature)))
        }
        versions[key] = ModelVersion(
            *key,
            score_kind="value" if run["score_kind"] == "value" else "probability",
            score_divisor=score_divisor(run["score_kind"]),
            features={name: bins[name] for name in run["features"]},
            score_bins=bins.get(SCORE),
            task=run["task"] or "binary",
            quantile=run["quantile"],
            classes=tuple(run["classes"] or ()),
            positive_label=run.get("positive_label"),
            negative_label=run.get("negative_label"),
            baseline_auc=run["baseline_auc"],
            baseline_accuracy=run.get("baseline_accuracy"),
            baseline_f1_score=run.get("baseline_f1_score"),
            reference_counts={name: _dense(counts.get((*key, name)), each.bin_count) for name, each in bins.items()},
            segment_reference_counts={
                segment: {name: _spread(*pairs, bins[name].bin_count) for name, pairs in of_features.items()}
                for segment, of_features in segments[key].items()
            },
            training_labels=TrainingLabels.of(
                labels[key].to_pylist() if key in labels else [],
                bins[SCORE].bin_count if SCORE in bins else 1,
            ),
            feature_types=dict(zip(run["features"], run["feature_types"], strict=True)) if run["feature_types"] else {},
            feature_importance=json.loads(run["feature_importance"] or "{}"),
            training_dataset_id=run["training_dataset_id"],
            columns_left_out=tuple(run.get("columns_left_out") or ()),
        )
    return versions


_OF_FEATURE = "model_id, model_version, feature"
# The columns of the rows of a feature.
_Columns = Mapping[str, Sequence[Any]]


def _by_feature(table: pa.Table) -> dict[tuple[str, ...], _Columns]:
    """The columns of each feature; its rows are consecutive."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    keys = list(zip(*(columns[name] for name in _OF_FEATURE.split(", ")), strict=True))
    starts = [place for place, key in enumerate(keys) if place == 0 or key != keys[place - 1]]
    return {
        keys[start]: {name: values[start:end] for name, values in columns.items()}
        for start, end in pairwise([*starts, len(keys)])
    }


def _bin_of_categories(columns: _Columns | None) -> dict[str, int]:
    return dict(zip(columns["category"], columns["bin_id"], strict=True)) if columns else {}


def _by_segment(table: pa.Table) -> defaultdict[tuple[str, str], dict[str, dict[str, tuple[Counts, Counts]]]]:
    """Bins and counts by version, segment and feature."""
    versions: defaultdict[tuple[str, str], dict[str, dict[str, tuple[Counts, Counts]]]] = defaultdict(dict)
    table = table.combine_chunks()
    keys = zip(*(table[name].to_pylist() for name in ("model_id", "model_version", "segment", "feature")), strict=True)
    for row, (model_id, model_version, segment, feature) in enumerate(keys):
        lists = (table[name][row].values.to_numpy() for name in ("bin_ids", "row_counts"))
        versions[model_id, model_version].setdefault(segment, {})[feature] = tuple(lists)
    return versions


def _spread(bin_ids: Counts, row_counts: Counts, bin_count: int) -> Counts:
    counts = np.zeros(bin_count, dtype=np.int64)
    counts[bin_ids] = row_counts
    return counts


def _dense(columns: _Columns | None, bin_count: int) -> Counts:
    counts = np.zeros(bin_count, dtype=np.int64)
    if columns:
        counts[columns["bin_id"]] = columns["row_count"]
    return counts
