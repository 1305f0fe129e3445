"""Generated cases with eight independent features; predictions and labels follow their weighted sum.

Not here: faults (`bench.scenarios`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.scenarios import Array, Cases, Columns, Scenario, probability

CHANNELS, COUNTRIES = ("web", "app", "branch"), ("de", "fr", "us", "br")
# a quarter of the rows
SLICE = "fr"
SAMPLE = 60_000


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric feature, normal or log-normal, with its weight in the model's log odds."""

    location: float
    scale: float
    weight: float
    is_log: bool = True

    def values(self, z: Array) -> Array:
        """Values from standard units."""
        moved: Array = self.location + self.scale * z
        return np.exp(moved) if self.is_log else moved

    def standard(self, values: Array) -> Array:
        """Standard units as the model reads them: missing values are typical ones, others are clipped to the range."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = ((np.log(values) if self.is_log else values) - self.location) / self.scale
        return np.nan_to_num(np.clip(z, -3.5, 3.5))


NUMBERS: Mapping[str, Number] = {
    "income": Number(10, 0.5, 0.6),
    "amount": Number(4, 0.8, -0.6),
    "length": Number(40, 8, 0.45, is_log=False),
    "tenure": Number(1.5, 0.6, 0.15),
    "age": Number(45, 12, 0.1, is_log=False),
    "visits": Number(1.6, 0.5, 0.0),
}
# in standard deviations; of the first, the parts of income and amount in the score cancel
_MOVES: Mapping[str, Mapping[str, float]] = {
    "features_move": {"income": 1.0, "amount": 1.0, "visits": 1.0},
    "scores_move": {"length": 1.0, "age": 1.0, "visits": 1.0},
}


class MadeUpRows:
    """See `bench.scenarios.Rows`."""

    features = (*NUMBERS, "channel", "country")
    importance: Mapping[str, float] = {
        "income": 0.31,
        "amount": 0.31,
        "length": 0.23,
        "tenure": 0.06,
        "age": 0.04,
        "channel": 0.05,
    }
    lost_feature = "amount"

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
        z = {name: generator.normal(size=count) + generator.normal(0, 0.03) for name in NUMBERS}
        shares = (0.6, 0.3, 0.1)
        if scenario.weekends == "different" and weekday > 4:
            shares = (0.3, 0.65, 0.05)
            z["income"], z["age"], z["visits"] = z["income"] - 0.4, z["age"] - 0.7, z["visits"] + 1.0
        if is_faulty:
            for name, change in _MOVES.get(scenario.fault or "", {}).items():
                z[name] = z[name] + change
        columns = _numbers(z, narrower) | {
            "channel": generator.choice(CHANNELS, count, p=shares),
            "country": generator.choice(COUNTRIES, count, p=(0.5, 0.25, 0.2, 0.05)),
        }
        return Cases(columns, self.predicted(scenario, columns), columns["country"] == SLICE)

    def sample(self, scenario: Scenario, narrower: float) -> Cases:
        """See Rows."""
        generator = np.random.default_rng(5)
        z = {name: generator.normal(size=SAMPLE) for name in NUMBERS}
        others = {"channel": generator.choice(CHANNELS, SAMPLE, p=(0.6, 0.3, 0.1))}
        is_in_slice = generator.choice([SLICE, "de"], SAMPLE, p=(0.25, 0.75)) == SLICE
        columns = _numbers(z, narrower) | others
        return Cases(columns, self.predicted(scenario, columns), is_in_slice)

    def predicted(self, scenario: Scenario, columns: Columns) -> Array:
        """See Rows."""
        if scenario.task == "multiclass":
            return _class_odds(columns)
        return 50 + 10 * _odds(columns) if scenario.task == "regression" else _odds(columns)

    def labels(self, scenario: Scenario, cases: Cases, truth: Array, generator: np.random.Generator) -> Array:  # noqa: ARG002
        """See Rows."""
        if scenario.task == "regression":
            return truth + generator.normal(0, 10, len(truth))
        rates = probability(truth)
        if scenario.task == "binary":
            return (generator.random(len(truth)) < rates).astype(float)
        draws = generator.random((len(truth), 1))
        return np.asarray((draws > rates.cumsum(axis=1)[:, :-1]).sum(axis=1).astype(float))

    def delivered(self, scenario: Scenario, columns: Columns) -> Columns:
        """See Rows."""
        if scenario.fault in ("unit_scored", "unit_logged"):
            name = "income" if scenario.size > 100 else "length"
            return columns | {name: columns[name] * scenario.size}
        lost = {"feature_null": "income", "column_gone": self.lost_feature}.get(scenario.fault or "")
        return columns | ({lost: np.full_like(columns[lost], np.nan)} if lost else {})


def _numbers(z: Mapping[str, Array], narrower: float) -> Columns:
    factors = dict.fromkeys(("income", "amount"), 1 - narrower)
    return {name: number.values(z[name] * factors.get(name, 1.0)) for name, number in NUMBERS.items()}


def _odds(columns: Mapping[str, Any]) -> Array:
    weighted = sum(number.weight * number.standard(columns[name]) for name, number in NUMBERS.items())
    result: Array = -1.35 + 1.06 * weighted + 0.3 * (columns["channel"] == "app")
    return result


def _class_odds(columns: Mapping[str, Any]) -> Array:
    """A column of log odds per class."""
    z = {name: number.standard(columns[name]) for name, number in NUMBERS.items()}
    first = 0.9 * z["income"] - 0.5 * z["length"]
    second = 0.9 * z["amount"] + 0.4 * z["tenure"] - 0.2
    return np.column_stack([first, second, np.zeros(len(first))])
