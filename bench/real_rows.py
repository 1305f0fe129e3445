"""Real cases: flights of 2013, drawn into days, with scores of classifiers that were not trained on them.

Half of the flights train the models (late, minutes in the air, early or on time or late); days are drawn from the other
half. Features are skewed, related to each other, categorical or missing. A draw is random, so days differ by chance
alone unless a scenario has day effects. A scenario changes as few labels as possible: most cases keep their real labels. It
moves the population and makes cases harder through the weights with which flights are drawn.

Not here: faults (`bench.scenarios`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
import polars as pl
from scipy import special, stats
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from bench.scenarios import Array, Cases, Columns, Scenario, probability, relabelled
from examples.nycflights.flights import CATEGORICAL_FEATURES, FEATURES, NUMERIC_FEATURES, load_flights
from examples.nycflights.model import SEED, THREADS, encode, feature_importance, fit

SLICE = ("origin", "EWR")
SAMPLE = 60_000
# of the multiclass model: early, on time, late
_MINUTES_ON_TIME = 15
_UNITS = {True: "pressure", False: "humid"}
_MISSING = "pressure"
# how far the population moves, in standard deviations of the ranks as normal quantiles
_MOVES: Mapping[str, Mapping[str, float]] = {
    "features_move": {"distance": 1.0, "temp": 0.7},
    "scores_move": {"odds": 0.7},
}
# weights of flights whose odds are far from the middle fall by this at most, in squared standard deviations
_NARROWEST = 3.0
_TREES: Mapping[str, Any] = {
    "categorical_features": list(range(len(CATEGORICAL_FEATURES))),
    "max_iter": 60,
    "max_leaf_nodes": 15,
    "early_stopping": False,
    "random_state": SEED,
}


class FlightRows:
    """See `bench.scenarios.Rows`."""

    features = FEATURES
    lost_feature = "humid"

    @cached_property
    def _halves(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        flights = load_flights().filter(pl.col("late").is_not_null())
        is_first = np.random.default_rng(SEED).random(flights.height) < 0.5
        return flights.filter(is_first), flights.filter(~is_first)

    @cached_property
    def _model(self) -> Any:
        return fit(self._halves[0])

    @cached_property
    def importance(self) -> Mapping[str, float]:
        """Log odds of the model of late flights."""
        return feature_importance(self._model, self._halves[1])

    @cached_property
    def _columns(self) -> Columns:
        """Features of the half that days are drawn from."""
        return {name: self._halves[1][name].to_numpy() for name in FEATURES}

    @cached_property
    def _is_in_slice(self) -> Array:
        column, value = SLICE
        return np.asarray(self._columns[column] == value)

    @cache  # noqa: B019  # there is one of these in a process
    def _of_task(self, task: str) -> tuple[Any, Array, Array]:
        """The model of a task, with its predictions and the outcomes for the half that days are drawn from."""
        trained, drawn = self._halves
        if task == "binary":
            trees = self._model.classifier
        else:
            trees = HistGradientBoostingClassifier(**_TREES)
            if task == "regression":
                trees = HistGradientBoostingRegressor(loss="absolute_error", **_TREES)
            with threadpool_limits(THREADS):
                trees.fit(encode(trained, self._model.categories), _outcomes(task, trained))
        return trees, _worked_out(trees, encode(drawn, self._model.categories)), _outcomes(task, drawn)

    def cases(
        self,
        scenario: Scenario,
        count: int,
        generator: np.random.Generator,
        *,
        weekday: int,
        is_faulty: bool,
        narrower: float,
    ) -> Cases:
        """See Rows."""
        is_weekend = weekday > 4 if scenario.weekends == "different" else None
        up_to = self._summed_weights(scenario.fault if is_faulty else None, narrower, is_weekend)
        return self._drawn(scenario, np.searchsorted(up_to, generator.random(count) * up_to[-1], side="right"))

    def sample(self, scenario: Scenario, narrower: float) -> Cases:
        """See Rows."""
        return self._drawn(scenario, _evenly(self._summed_weights(None, narrower, None)))

    def _drawn(self, scenario: Scenario, places: Array) -> Cases:
        _, predicted, outcomes = self._of_task(scenario.task)
        columns = {name: values[places] for name, values in self._columns.items()}
        return Cases(columns, predicted[places], self._is_in_slice[places], outcomes[places])

    @cache  # noqa: B019
    def _summed_weights(self, fault: str | None, narrower: float, is_weekend: bool | None) -> Array:  # noqa: FBT001
        """Cumulative weights with which flights are drawn, shape (flights,)."""
        far = self._standard("odds") ** 2
        moved = sum(size * self._standard(name) for name, size in _MOVES.get(fault or "", {}).items())
        weights = np.exp(moved - _NARROWEST * narrower * far)
        if is_weekend is not None:
            weights = weights * ((self._columns["weekday"] > 5) == is_weekend)
        if fault in _MOVES:
            # the move alone would make cases harder or easier
            weights = weights * np.exp(-self._neutral(weights) * far)
        return np.cumsum(weights)

    def _neutral(self, weights: Array) -> float:
        """How much narrower the odds of flights that are drawn by weights must be so that their AUC is that of all."""
        _, predicted, is_late = self._of_task("binary")
        far = self._standard("odds") ** 2
        tried = np.linspace(0.3, -0.3, 13)
        aucs = [roc_auc_score(is_late, predicted, sample_weight=weights * np.exp(-each * far)) for each in tried]
        return float(np.interp(roc_auc_score(is_late, predicted), aucs, tried))

    @cache  # noqa: B019
    def _standard(self, name: str) -> Array:
        """Ranks of a feature, or of the log odds of a late flight, as normal quantiles; a missing value is a usual one."""
        values = self._of_task("binary")[1] if name == "odds" else self._columns[name]
        ranks = stats.rankdata(values, nan_policy="omit")
        return np.asarray(np.nan_to_num(special.ndtri((ranks - 0.5) / np.isfinite(values).sum())))

    def predicted(self, scenario: Scenario, columns: Columns) -> Array:
        """See Rows."""
        codes = []
        for name, known in self._model.categories.items():
            places = np.minimum(np.searchsorted(known, columns[name]), len(known) - 1)
            codes.append(np.where(np.array(known)[places] == columns[name], places, np.nan))
        encoded = np.column_stack([*codes, *(columns[name].astype(float) for name in NUMERIC_FEATURES)])
        return _worked_out(self._of_task(scenario.task)[0], encoded)

    def labels(self, scenario: Scenario, cases: Cases, truth: Array, generator: np.random.Generator) -> Array:
        """See Rows."""
        assert cases.outcomes is not None
        if scenario.task == "regression":
            return np.asarray(cases.outcomes + truth - cases.predicted)
        before, after = (_of_classes(probability(odds)) for odds in (cases.predicted, truth))
        return relabelled(cases.outcomes.astype(int), before, after, generator).astype(float)

    def delivered(self, scenario: Scenario, columns: Columns) -> Columns:
        """See Rows."""
        if scenario.fault in ("unit_scored", "unit_logged"):
            name = _UNITS[scenario.size > 100]
            return columns | {name: columns[name] * scenario.size}
        lost = {"feature_null": _MISSING, "column_gone": self.lost_feature}.get(scenario.fault or "")
        return columns | ({lost: np.full_like(columns[lost], np.nan)} if lost else {})


def _outcomes(task: str, flights: pl.DataFrame) -> Array:
    if task == "binary":
        return flights["late"].to_numpy().astype(float)
    if task == "regression":
        return flights["air_time"].to_numpy()
    minutes = flights["arr_delay"].to_numpy()
    return np.asarray(np.digitize(minutes, [-_MINUTES_ON_TIME, _MINUTES_ON_TIME], right=True).astype(float))


def _worked_out(trees: Any, encoded: Array) -> Array:
    with threadpool_limits(THREADS):
        if isinstance(trees, HistGradientBoostingRegressor):
            return np.asarray(trees.predict(encoded))
        return np.asarray(trees.decision_function(encoded))


def _evenly(up_to: Array) -> Array:
    """Positions of a sample of flights, at even steps of their cumulative weights."""
    return np.asarray(np.searchsorted(up_to, (np.arange(SAMPLE) + 0.5) / SAMPLE * up_to[-1]))


def _of_classes(rates: Array) -> Array:
    """Probabilities by class, shape (cases, classes)."""
    return np.column_stack([1 - rates, rates]) if rates.ndim == 1 else rates
