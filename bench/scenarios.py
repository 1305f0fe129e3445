"""Scenarios: models with a known fault or none, the right verdict on each, and the interface of their rows.

Not here: generated rows (`bench.made_up_rows`), real ones (`bench.real_rows`), and files (`bench.known_scenarios`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Protocol

import numpy as np

# a Monday
START = date(2024, 1, 1)
DAYS = 150
# incidents of several models would otherwise be joined
FIRST_FAULT_DAY, DAYS_BETWEEN_FAULTS = 76, 3
CLASSES = ("0", "1", "2")

Array = np.ndarray[Any, Any]
Columns = dict[str, Any]
Verdict = Literal["well", "harmed", "broken", "blind"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A model with its fault and the right verdict.

    Attributes
    ----------
    expected : verdict after the fault has begun; well if nothing is wrong
    fault : name of what begins on `fault_day`; a move of the population is no fault, but is one here
    slope_sd, shift_sd, autocorrelation : effects of the day on what labels follow: factor and shift of the log odds
    known_by : what can show the fault: labels when they come, scores at once, data at once, or the promise of labels
    size : of the fault: AUC lost, share of the error added, or factor of a unit
    """

    name: str
    expected: Verdict = "well"
    fault: str | None = None
    task: Literal["binary", "regression", "multiclass"] = "binary"
    rows: int = 800
    slope_sd: float = 0.05
    shift_sd: float = 0.1
    autocorrelation: float = 0.2
    weekends: Literal["alike", "different", "none"] = "alike"
    labels: Literal["daily", "weekly"] = "daily"
    known_by: Literal["labels", "scores", "data", "promise"] = "labels"
    size: float = 0.0

    @property
    def fault_day(self) -> int:
        """Number of the day on which the fault begins; none begins after the last day."""
        faulty = [scenario.name for scenario in SCENARIOS if scenario.fault]
        return FIRST_FAULT_DAY + DAYS_BETWEEN_FAULTS * faulty.index(self.name) if self.fault else DAYS

    @property
    def promise(self) -> tuple[int, int, int]:
        """Days within which half, 95 % and all labels are declared to arrive."""
        return (4, 7, 10) if self.labels == "weekly" else (2, 3, 3)

    def name_of(self, feature: str, rows: Rows) -> str:
        """Name of a feature; if a model's column vanishes, it has a name that no other model uses."""
        return f"own_{feature}" if self.fault == "column_gone" and feature == rows.lost_feature else feature


@dataclass(frozen=True, slots=True)
class Cases:
    """Inputs of a model: features by name, and its predictions from them (log odds, log odds per class, or a number).

    `outcomes` are the labels of real cases; the others have none before `Rows.labels`.
    """

    columns: Columns
    predicted: Array
    is_in_slice: Array
    outcomes: Array | None = None


class Rows(Protocol):
    """A source of cases."""

    def __hash__(self) -> int:
        """Identifies the kind of rows, for which the loss of a fault is measured once."""

    @property
    def features(self) -> Sequence[str]:
        """Names of the features."""

    @property
    def importance(self) -> Mapping[str, float]:
        """Importance by feature."""

    @property
    def lost_feature(self) -> str:
        """The feature that goes missing."""

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
        """Cases of a day; `narrower` is how much harder they are, from 0 to 1."""

    def sample(self, scenario: Scenario, narrower: float) -> Cases:
        """A large sample, the same at each call, on which the loss of a fault is measured."""

    def predicted(self, scenario: Scenario, columns: Columns) -> Array:
        """The predictions of the model from features."""

    def labels(self, scenario: Scenario, cases: Cases, truth: Array, generator: np.random.Generator) -> Array:
        """Labels that follow `truth`, which is of the kind of `Cases.predicted`."""

    def delivered(self, scenario: Scenario, columns: Columns) -> Columns:
        """Features as delivered during the fault."""


def probability(odds: Array) -> Array:
    """Probabilities of log odds, or of a column of log odds per class."""
    if odds.ndim == 1:
        return np.asarray(1 / (1 + np.exp(-odds)))
    powers = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def relabelled(labels: Array, before: Array, after: Array, generator: np.random.Generator) -> Array:
    """Labels with the probabilities `after` instead of `before`, shape (cases, classes) each, with few changes."""
    kept = np.minimum(after / before, 1)[np.arange(len(labels)), labels]
    others = np.maximum(after - before, 0).cumsum(axis=1)
    new = (generator.random(len(labels))[:, np.newaxis] * others[:, -1:] > others).sum(axis=1)
    return np.asarray(np.where(generator.random(len(labels)) < kept, labels, np.minimum(new, before.shape[1] - 1)))


SCENARIOS = (
    Scenario("calm"),
    Scenario("weekends_differ", weekends="different"),
    Scenario("day_effects", slope_sd=0.52, shift_sd=0.4, autocorrelation=0.33),
    Scenario("forty_a_day", rows=40),
    Scenario("weekly_labels", labels="weekly"),
    Scenario("no_weekends", weekends="none"),
    # needs the most days
    Scenario("slow_loss", "harmed", "slow_loss", size=0.08),
    Scenario("harmless_move", fault="features_move"),
    Scenario("harmless_move_of_scores", fault="scores_move"),
    Scenario("harder_cases", "harmed", "harder_cases", known_by="scores", size=0.065),
    Scenario("slice_loss", "harmed", "slice_loss", size=0.05),
    Scenario("unit_1000_scored_broken", "broken", "unit_scored", known_by="data", size=1000),
    Scenario("unit_1000_scored_well", "broken", "unit_logged", known_by="data", size=1000),
    Scenario("unit_cm_scored_broken", "broken", "unit_scored", known_by="data", size=2.54),
    Scenario("unit_cm_scored_well", "broken", "unit_logged", known_by="data", size=2.54),
    Scenario("feature_null", "broken", "feature_null", known_by="data"),
    Scenario("column_gone", "broken", "column_gone", known_by="data"),
    Scenario("labels_stopped", "blind", "labels_stopped", known_by="promise"),
    Scenario("regression_calm", task="regression"),
    Scenario("regression_loss", "harmed", "slice_loss", task="regression", size=0.15),
    Scenario("classes_calm", task="multiclass"),
    Scenario("classes_loss", "harmed", "slice_loss", task="multiclass", size=0.05),
)
