"""Checks with labels whether scores are the probability of the positive class, as the lineage declares.

Not here: the tests themselves (`driftlake.maths.score_meaning`), and the messages (`expectations.labels`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.contract.row_checks import Contract, ContractCheck, Measurement
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Counts
from driftlake.maths.score_meaning import has_enough_labels, labelled_auc, score_problem
from driftlake.maths.segments import ALL

_RULES = {
    "reversed": "score_ranks_the_positive_label_higher",
    "confidence": "score_is_that_of_the_positive_class",
}


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """Labels of a binary version per score bin, by bin_id, shape (bins,), and the sum of their scores."""

    positives: Counts
    negatives: Counts
    score_sum: float
    is_probability: bool


def check_scores(contract: Contract, day: date, owner: tuple[str, str], scores: LabelledScores) -> list[ContractCheck]:
    """Outcomes of the rules about what scores mean; nothing if there are too few labels."""
    if not has_enough_labels(scores.positives, scores.negatives):
        return []
    found = score_problem(scores.positives, scores.negatives, scores.score_sum, is_probability=scores.is_probability)
    count = int((scores.positives + scores.negatives)[1:].sum())
    positive_share = scores.positives[1:].sum() / count
    observed = {
        "reversed": f"an AUC of {labelled_auc(scores.positives, scores.negatives):.3f}",
        "confidence": f"{scores.score_sum / count:.3f} on average against {positive_share:.3f}",
    }
    checks: list[ContractCheck] = []
    for kind, rule in _RULES.items():
        measured = Measurement(day, count, count if kind == found else 0, observed[kind])
        checks += contract.measured(rule, measured, owner=owner)
    return checks


def check_labelled_days(
    contract: Contract, cohorts: pa.Table, versions: Mapping[tuple[str, str], ModelVersion]
) -> list[ContractCheck]:
    """Check binary versions with rows of label_cohorts, for each day on which labels became known."""
    whole = cohorts.filter(pc.equal(cohorts["segment"], ALL))
    sums = ["positive_count", "negative_count", "score_sum"]
    keys = ["dt", "model_id", "model_version"]
    counted = whole.group_by([*keys, "bin_id"]).aggregate([(name, "sum") for name in sums])
    found: dict[tuple[date, str, str], LabelledScores] = {}
    for row in counted.sort_by([(key, "ascending") for key in keys]).to_pylist():
        version = versions[row["model_id"], row["model_version"]]
        if version.task == "binary" and version.score_bins:
            key = tuple(row[name] for name in keys)
            scores = found.get(key) or _none_yet(version, version.score_bins.bin_count)
            scores.positives[row["bin_id"]] = row["positive_count_sum"]
            scores.negatives[row["bin_id"]] = row["negative_count_sum"]
            total = scores.score_sum + (row["score_sum_sum"] or 0)
            found[key] = LabelledScores(scores.positives, scores.negatives, total, scores.is_probability)
    return [
        check
        for (day, *owner), scores in found.items()
        for check in check_scores(contract, day, (owner[0], owner[1]), scores)
    ]


def _none_yet(version: ModelVersion, bin_count: int) -> LabelledScores:
    positives, negatives = (np.zeros(bin_count, dtype=np.int64) for _ in range(2))
    return LabelledScores(positives, negatives, 0.0, version.score_kind == "probability")
