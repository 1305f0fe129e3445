"""How far two scores of the same predictions agree, from counts per pair of bins: pure functions that take arrays.

Counts have shape (..., bins, bins): the candidate's score along the first axis, production's along the second, bins
ordered by ascending score. Scores inside a bin count as tied. Not here: which predictions are paired
(sql/profiles/shadow_pairs.sql, sql/labels/shadow_cohorts.sql) and what is reported about them (`driftlake.quality.shadow`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.ranking import CONFIDENCE, placements


@dataclass(frozen=True, slots=True)
class PairedAuc:
    """AUC of both scores, and the difference candidate - production with its interval, each of shape (...); nan with one class only."""

    candidate: Floats
    production: Floats
    difference: Floats
    standard_error: Floats
    confidence_low: Floats
    confidence_high: Floats
    p_value: Floats


def paired_auc_difference(positives: Counts, negatives: Counts) -> PairedAuc:
    """Difference of two AUCs on the same labels, with the covariance of DeLong, DeLong and Clarke-Pearson (1988).

    A label contributes to an AUC the share of the other class that it is ranked correctly against; ties count as half.
    The result is the mean of the differences between the contributions to the two AUCs, so their variance accounts for
    the covariance of the AUCs. The p-value is two-sided and normal.
    """
    positive_count, negative_count = positives.sum(axis=(-2, -1)), negatives.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        contributions = [placements(positives.sum(axis=axis), negatives.sum(axis=axis)) for axis in (-1, -2)]
        candidate, production = (
            (positives.sum(axis=axis) * placement).sum(axis=-1) / positive_count
            for axis, (placement, _) in zip((-1, -2), contributions, strict=True)
        )
        of_positives, of_negatives = zip(*contributions, strict=True)
        variance = _mean_variance(positives, *of_positives) + _mean_variance(negatives, *of_negatives)
        error = np.sqrt(variance)
        difference = candidate - production
        # without variance the AUCs are either equal or certainly different
        z = np.where(error > 0, difference / error, np.where(difference == 0, 0, np.inf))
    p_value = np.where(np.isnan(error), np.nan, 2 * special.ndtr(-np.abs(z)))
    half = special.ndtri((1 + CONFIDENCE) / 2) * error
    is_known = (positive_count > 0) & (negative_count > 0)
    fields = (candidate, production, difference, error, difference - half, difference + half, p_value)
    return PairedAuc(*(np.where(is_known, field, np.nan) for field in fields))


def rank_correlation(counts: Counts) -> Floats:
    """Spearman's rank correlation (1904), -1 to 1, shape (...). Ties have their mean rank; nan where a score has one bin only."""
    candidate, production = counts.sum(axis=-1), counts.sum(axis=-2)
    candidate_ranks, production_ranks = _centred_ranks(candidate), _centred_ranks(production)
    covariance = np.einsum("...ij,...i,...j->...", counts, candidate_ranks, production_ranks)
    deviation = np.sqrt((candidate * candidate_ranks**2).sum(axis=-1) * (production * production_ranks**2).sum(axis=-1))
    correlation: Floats = np.divide(covariance, deviation, out=np.full(deviation.shape, np.nan), where=deviation > 0)
    return correlation


def _mean_variance(counts: Counts, candidate: Floats, production: Floats) -> Floats:
    """Variance of the mean difference of the contributions of one class."""
    size = counts.sum(axis=(-2, -1))
    difference = candidate[..., :, np.newaxis] - production[..., np.newaxis, :]
    mean = (counts * difference).sum(axis=(-2, -1)) / size
    squares = (counts * (difference - mean[..., np.newaxis, np.newaxis]) ** 2).sum(axis=(-2, -1))
    variance: Floats = np.where(size > 1, squares / (size - 1) / size, np.nan)
    return variance


def _centred_ranks(counts: Counts) -> Floats:
    """Mean rank of the members of each bin, minus the mean of all ranks; shape (..., bins)."""
    ranks: Floats = np.cumsum(counts, axis=-1) - counts / 2 - counts.sum(axis=-1, keepdims=True) / 2
    return ranks
