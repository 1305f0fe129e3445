"""The delay model: gradient boosted trees that take categories and missing values as they are.

Not here: which flights train it, when it serves, and what is written about it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GroupKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from examples.nycflights.flights import CATEGORICAL_FEATURES, FEATURES, NUMERIC_FEATURES

Floats = npt.NDArray[np.float64]

SEED: Final = 2013
FOLDS: Final = 5
IMPORTANCE_SAMPLE: Final = 5_000
# A second OpenMP thread saves a second in the full build, but on a small sample it has to be woken for every tiny task:
# measured, one fit on a tenth of the flights took 0.1 s with one thread and anything from 0.1 to 7 s with two.
THREADS: Final = 1
# Flags a fifth to a quarter of the flights, about as many as are late; at 0.5 v1 would flag three in a hundred.
DECISION_CUT: Final = 0.3


@dataclass(frozen=True)
class DelayModel:
    """A fitted classifier with the categories it was trained on, in code order."""

    categories: dict[str, list[str]]
    classifier: HistGradientBoostingClassifier

    def scores(self, encoded: Floats, /) -> Floats:
        """Probability that each encoded flight arrives late."""
        return np.asarray(self.classifier.predict_proba(encoded)[:, 1])


def fit(flights: pl.DataFrame) -> DelayModel:
    """Train on flights whose `late` is known."""
    categories = _categories(flights)
    with threadpool_limits(THREADS):
        classifier = _classifier().fit(encode(flights, categories), flights["late"].to_numpy())
    return DelayModel(categories, classifier)


def out_of_fold_scores(flights: pl.DataFrame) -> Floats:
    """Score each flight with a model that saw none of its day.

    Flights of one day share their weather and their jams. Folds that split a day let the model recognise the day, and
    promise an AUC (0.74 for January and February) that no later month has ever shown.
    """
    folds = GroupKFold(FOLDS, shuffle=True, random_state=SEED)
    with threadpool_limits(THREADS):
        probabilities = cross_val_predict(
            _classifier(),
            encode(flights, _categories(flights)),
            flights["late"].to_numpy(),
            groups=flights["departs_on"].to_physical().to_numpy(),
            cv=folds,
            method="predict_proba",
        )
    return np.asarray(probabilities[:, 1])


def feature_importance(model: DelayModel, flights: pl.DataFrame) -> dict[str, float]:
    """AUC lost when a feature is shuffled, on a fixed sample of the training flights."""
    sample_size = min(IMPORTANCE_SAMPLE, flights.height)
    sample = flights[np.random.default_rng(SEED).choice(flights.height, sample_size, replace=False)]
    with threadpool_limits(THREADS):
        lost = permutation_importance(
            model.classifier,
            encode(sample, model.categories),
            sample["late"].to_numpy(),
            scoring="roc_auc",
            n_repeats=3,
            random_state=SEED,
        )
    return {feature: round(float(mean), 4) for feature, mean in zip(FEATURES, lost.importances_mean, strict=True)}


def score_by_hour(model: DelayModel, flights: pl.DataFrame) -> pl.DataFrame:
    """`score` and `latency_ms` of flights ordered by departure; each scheduled hour is one call of the model.

    Every row of a batch carries the wall time of that one call, as its caller would have measured it.
    """
    encoded = encode(flights, model.categories)
    scores, latencies_ms = np.empty(flights.height), np.empty(flights.height)
    with threadpool_limits(THREADS):
        for batch in _hours(flights["event_time"]):
            started = time.perf_counter()
            scores[batch] = model.scores(encoded[batch])
            latencies_ms[batch] = (time.perf_counter() - started) * 1_000
    return pl.DataFrame({"score": scores, "latency_ms": latencies_ms})


def encode(flights: pl.DataFrame, categories: dict[str, list[str]]) -> Floats:
    """Turn the features into floats; a null or a category unknown at training time is missing."""
    codes = [
        pl.col(feature).replace_strict(known, range(len(known)), default=None, return_dtype=pl.Float64)
        for feature, known in categories.items()
    ]
    return flights.select(*codes, pl.col(NUMERIC_FEATURES).cast(pl.Float64)).to_numpy()


def _categories(flights: pl.DataFrame) -> dict[str, list[str]]:
    return {feature: flights[feature].unique().sort().to_list() for feature in CATEGORICAL_FEATURES}


def _classifier() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        categorical_features=list(range(len(CATEGORICAL_FEATURES))),
        max_iter=60,
        max_leaf_nodes=15,
        early_stopping=False,
        random_state=SEED,
    )


def _hours(event_time: pl.Series) -> Iterator[slice]:
    """Slices of consecutive rows that fall in one hour."""
    start = 0
    for length in event_time.dt.truncate("1h").rle().struct.field("len"):
        yield slice(start, start + length)
        start += length
