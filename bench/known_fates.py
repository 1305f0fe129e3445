"""Writes models with known faults as one project: worlds without a fault, and worlds with one fault.

Each model scores 150 days of 2024 with eight features; its AUC is about 0.75 (a regression has errors, a model of three
classes a macro AUC). What goes wrong begins
around the 90th day, of each model on a day of its own. What a fault costs is measured on a large sample,
so that a loss of 0.05 is one of 0.05. `fates.yaml` beside driftlake.yaml says what is to be expected of whom.

    PYTHONPATH=$PWD python -m bench.known_fates FOLDER [--seed 1] [--only calm slice_loss]   # write it, run it
    PYTHONPATH=$PWD python -m bench.decisions FOLDER                                         # judge it

Not here: what is judged, and how (`bench.decisions`).
"""

from __future__ import annotations

import argparse
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from sklearn.metrics import roc_auc_score

from bench.stages import run
from driftlake.config import Settings, load_settings

# a Monday
START = date(2024, 1, 1)
DAYS = 150
# incidents of several models would otherwise be joined
FIRST_FAULT_DAY, DAYS_BETWEEN_FAULTS = 76, 3
TRAINING_DAYS, TRAINING_ROWS_OF_A_DAY = 300, 200
CHANNELS, COUNTRIES, CLASSES = ("web", "app", "branch"), ("de", "fr", "us", "br"), ("0", "1", "2")
# a quarter of the rows
SLICE = "fr"
SAMPLE = 60_000
SLOW_DAYS = 40
# between them the loss is interpolated
_STRENGTHS = np.linspace(0, 1, 9)

Array = np.ndarray[Any, Any]
Columns = dict[str, Any]
Verdict = Literal["well", "harmed", "broken", "blind"]


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
        """Standard units as the model takes them: a missing value is a usual one, one beyond the known range its end."""
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
IMPORTANCE = {"income": 0.31, "amount": 0.31, "length": 0.23, "tenure": 0.06, "age": 0.04, "channel": 0.05}


@dataclass(frozen=True, slots=True)
class Fate:
    """A model, what happens to it, and what is right to say of it.

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
    def amount_name(self) -> str:
        """What the second feature is called: one model has its own, so that its column can vanish from the files."""
        return "credit_limit" if self.fault == "column_gone" else "amount"

    @property
    def fault_day(self) -> int:
        """Number of the day on which the fault begins; none begins after the last day."""
        faulty = [fate.name for fate in FATES if fate.fault]
        return FIRST_FAULT_DAY + DAYS_BETWEEN_FAULTS * faulty.index(self.name) if self.fault else DAYS

    @property
    def promise(self) -> tuple[int, int, int]:
        """Days within which half, 95 % and all labels are promised."""
        return (4, 7, 10) if self.labels == "weekly" else (2, 3, 3)


FATES = (
    Fate("calm"),
    Fate("weekends_differ", weekends="different"),
    Fate("day_effects", slope_sd=0.52, shift_sd=0.4, autocorrelation=0.33),
    Fate("forty_a_day", rows=40),
    Fate("weekly_labels", labels="weekly"),
    Fate("no_weekends", weekends="none"),
    # needs the most days
    Fate("slow_loss", "harmed", "slow_loss", size=0.08),
    Fate("harmless_move", fault="features_move"),
    Fate("harmless_move_of_scores", fault="scores_move"),
    Fate("harder_cases", "harmed", "harder_cases", known_by="scores", size=0.065),
    Fate("slice_loss", "harmed", "slice_loss", size=0.05),
    Fate("unit_1000_scored_broken", "broken", "unit_scored", known_by="data", size=1000),
    Fate("unit_1000_scored_well", "broken", "unit_logged", known_by="data", size=1000),
    Fate("unit_cm_scored_broken", "broken", "unit_scored", known_by="data", size=2.54),
    Fate("unit_cm_scored_well", "broken", "unit_logged", known_by="data", size=2.54),
    Fate("feature_null", "broken", "feature_null", known_by="data"),
    Fate("column_gone", "broken", "column_gone", known_by="data"),
    Fate("labels_stopped", "blind", "labels_stopped", known_by="promise"),
    Fate("regression_calm", task="regression"),
    Fate("regression_loss", "harmed", "slice_loss", task="regression", size=0.15),
    Fate("classes_calm", task="multiclass"),
    Fate("classes_loss", "harmed", "slice_loss", task="multiclass", size=0.05),
)


# --- the model ---


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


def _probability(odds: Array) -> Array:
    if odds.ndim == 1:
        return np.asarray(1 / (1 + np.exp(-odds)))
    powers = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _predicted(fate: Fate, columns: Mapping[str, Any]) -> Array:
    """What the model works out from features: log odds, log odds of classes, or a number."""
    if fate.task == "multiclass":
        return _class_odds(columns)
    return 50 + 10 * _odds(columns) if fate.task == "regression" else _odds(columns)


def _scores(fate: Fate, predicted: Array) -> Columns:
    if fate.task == "regression":
        return {"score": predicted}
    probability = _probability(predicted)
    if fate.task == "binary":
        return {"score": probability}
    of_classes = {f"p_{name}": probability[:, place] for place, name in enumerate(CLASSES)}
    return {
        "score": probability.max(axis=1),
        "predicted_class": np.array(CLASSES)[probability.argmax(axis=1)],
    } | of_classes


def _labels(fate: Fate, truth: Array, generator: np.random.Generator) -> Array:
    if fate.task == "regression":
        return truth + generator.normal(0, 10, len(truth))
    probability = _probability(truth)
    if fate.task == "binary":
        return (generator.random(len(truth)) < probability).astype(float)
    draws = generator.random((len(truth), 1))
    return np.asarray((draws > probability.cumsum(axis=1)[:, :-1]).sum(axis=1).astype(float))


# --- the world ---


def _population(generator: np.random.Generator, count: int, fate: Fate, *, weekday: int, is_faulty: bool) -> Columns:
    z = {name: generator.normal(size=count) + generator.normal(0, 0.03) for name in NUMBERS}
    shares = (0.6, 0.3, 0.1)
    if fate.weekends == "different" and weekday > 4:
        shares = (0.3, 0.65, 0.05)
        z["income"], z["age"], z["visits"] = z["income"] - 0.4, z["age"] - 0.7, z["visits"] + 1.0
    if is_faulty:
        for name, change in _MOVES.get(fate.fault or "", {}).items():
            z[name] = z[name] + change
        if fate.fault == "harder_cases":
            narrower = _size_for(fate)
            z = {
                name: values * (1 - narrower) if name in ("income", "amount") else values for name, values in z.items()
            }
    return {name: number.values(z[name]) for name, number in NUMBERS.items()} | {
        "channel": generator.choice(CHANNELS, count, p=shares),
        "country": generator.choice(COUNTRIES, count, p=(0.5, 0.25, 0.2, 0.05)),
    }


# in standard deviations; of the first, the parts of income and amount in the score cancel
_MOVES: Mapping[str, Mapping[str, float]] = {
    "features_move": {"income": 1.0, "amount": 1.0, "visits": 1.0},
    "scores_move": {"length": 1.0, "age": 1.0, "visits": 1.0},
}


def _truth(fate: Fate, predicted: Array, country: Array, strength: float, generator: np.random.Generator) -> Array:
    """What labels follow: the prediction, and with the strength of a loss that of another row.

    A loss in a slice exchanges predictions within the slice, so that neither its rate nor any feature changes.
    """
    if not strength:
        return predicted
    rows = np.flatnonzero(country == SLICE) if fate.fault == "slice_loss" else np.arange(len(predicted))
    truth = predicted.copy()
    truth[rows] = (1 - strength) * predicted[rows] + strength * predicted[generator.permutation(rows)]
    return truth


def _strength(fate: Fate, day: int) -> float:
    if fate.fault == "slice_loss":
        return _size_for(fate)
    if fate.fault == "slow_loss":
        return _strength_that_costs(fate, fate.size * min((day - fate.fault_day + 1) / SLOW_DAYS, 1.0))
    return 0.0


def _size_for(fate: Fate) -> float:
    return _strength_that_costs(fate, fate.size)


def _strength_that_costs(fate: Fate, wanted: float) -> float:
    losses = _losses(fate)
    if losses[-1] < wanted:
        raise ValueError(f"{fate.name}: no strength costs {wanted}, all of it costs {losses[-1]:.4f}")
    return float(np.interp(wanted, losses, _STRENGTHS))


@cache
def _losses(fate: Fate) -> Array:
    """What each of some strengths costs."""
    loss = _loss_of(fate)
    return np.array([loss(strength) for strength in _STRENGTHS])


def _loss_of(fate: Fate) -> Callable[[float], float]:
    """What a strength of the fault costs, in the metric of the task, on a large sample."""
    generator = np.random.default_rng(5)
    z = {name: generator.normal(size=SAMPLE) for name in NUMBERS}
    others = {"channel": generator.choice(CHANNELS, SAMPLE, p=(0.6, 0.3, 0.1))}
    country = generator.choice([SLICE, "de"], SAMPLE, p=(0.25, 0.75))

    def columns(narrower: float) -> Columns:
        factors = dict.fromkeys(("income", "amount"), 1 - narrower)
        return {name: number.values(z[name] * factors.get(name, 1.0)) for name, number in NUMBERS.items()} | others

    def quality(strength: float) -> float:
        is_harder = fate.fault == "harder_cases"
        predicted = _predicted(fate, columns(strength if is_harder else 0.0))
        truth = _truth(fate, predicted, country, 0.0 if is_harder else strength, np.random.default_rng(6))
        return _quality(fate, predicted, truth)

    before = quality(0.0)
    if fate.task == "regression":
        return lambda strength: quality(strength) / before - 1
    return lambda strength: before - quality(strength)


def _quality(fate: Fate, predicted: Array, truth: Array) -> float:
    """AUC that is to be expected of scores, macro AUC of classes, or mean absolute error."""
    if fate.task == "regression":
        noise = np.random.default_rng(7).normal(0, 10, len(truth))
        return float(np.abs(predicted - truth - noise).mean())
    scores, rates = _probability(predicted), _probability(truth)
    if fate.task == "binary":
        return _expected_auc(scores, rates)
    return float(np.mean([_expected_auc(scores[:, place], rates[:, place]) for place in range(len(CLASSES))]))


def _expected_auc(scores: Array, rates: Array) -> float:
    labels = np.repeat([1, 0], len(scores))
    return float(roc_auc_score(labels, np.tile(scores, 2), sample_weight=np.concatenate([rates, 1 - rates])))


def _day_effects(fate: Fate, days: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Factor and shift of the log odds of each day, autocorrelated."""
    effects = np.empty((2, days))
    effects[:, 0] = generator.normal(size=2)
    keep = fate.autocorrelation
    for day in range(1, days):
        effects[:, day] = keep * effects[:, day - 1] + np.sqrt(1 - keep**2) * generator.normal(size=2)
    return 1 + fate.slope_sd * effects[0], fate.shift_sd * effects[1]


def _of_the_day(fate: Fate, truth: Array, factor: float, shift: float) -> Array:
    if fate.task == "regression":
        return truth + 10 * shift
    return factor * truth + (shift if fate.task == "binary" else 0.0)


# --- files ---


@dataclass(frozen=True, slots=True)
class Day:
    """What a model delivers about a day: predictions, labels, and how many days later each label comes (-1: never)."""

    telemetry: pa.Table
    ids: Sequence[str]
    labels: Array
    delays: Array


def _day(fate: Fate, number: int, effect: tuple[float, float], generator: np.random.Generator) -> Day | None:
    day = START + timedelta(days=number)
    is_weekend, is_faulty = day.weekday() > 4, number >= fate.fault_day
    if fate.weekends == "none" and is_weekend:
        return None
    usual = fate.rows * (0.6 if fate.weekends == "different" and is_weekend else 1.0)
    count = int(generator.poisson(usual * generator.lognormal(0, 0.05)))
    columns = _population(generator, count, fate, weekday=day.weekday(), is_faulty=is_faulty)
    strength = _strength(fate, number) if is_faulty else 0.0
    right = _predicted(fate, columns)
    truth = _of_the_day(fate, _truth(fate, right, columns["country"], strength, generator), *effect)
    labels = _labels(fate, truth, generator)
    delivered = _delivered(fate, columns) if is_faulty else columns
    predicted = right if fate.fault == "unit_logged" else _predicted(fate, delivered)
    ids = [f"{fate.name}-{number}-{row}" for row in range(count)]
    seconds = generator.integers(0, 86_400, count)
    named = {fate.amount_name if name == "amount" else name: values for name, values in delivered.items()}
    if fate.fault == "column_gone" and is_faulty:
        del named[fate.amount_name]
    telemetry = pa.table(
        named
        | {
            "correlation_id": ids,
            "event_time": [datetime.combine(day, time()) + timedelta(seconds=int(each)) for each in seconds],
            "model_id": [fate.name] * count,
            "model_version": ["v1"] * count,
        }
        | _scores(fate, predicted)
    )
    return Day(telemetry, ids, labels, _delays(fate, number, count, generator))


def _delivered(fate: Fate, columns: Columns) -> Columns:
    """Features as they come while the fault is there."""
    if fate.fault in ("unit_scored", "unit_logged"):
        name = "income" if fate.size > 100 else "length"
        return columns | {name: columns[name] * fate.size}
    if fate.fault == "feature_null":
        return columns | {"income": np.full_like(columns["income"], np.nan)}
    if fate.fault == "column_gone":
        return columns | {"amount": np.full_like(columns["amount"], np.nan)}
    return columns


def _delays(fate: Fate, number: int, count: int, generator: np.random.Generator) -> Array:
    if fate.labels == "weekly":
        # on Mondays, everything up to the day before
        return np.full(count, 7 - number % 7)
    delays = generator.choice([1, 2, 3], count, p=(0.4, 0.4, 0.2))
    stopped = fate.fault == "labels_stopped"
    return np.where(stopped & (number + delays >= fate.fault_day), -1, delays)


def daily_values(fate: Fate, generator: np.random.Generator) -> Array:
    """The metric of each day by all of its labels, larger is better: AUC, macro AUC of classes, or the error with its sign reversed."""
    effects = np.column_stack(_day_effects(fate, DAYS, generator))
    values = np.full(DAYS, np.nan)
    for number in range(DAYS):
        if day := _day(fate, number, tuple(effects[number]), generator):
            values[number] = _realised(fate, day)
    return values


def _realised(fate: Fate, day: Day) -> float:
    if fate.task == "regression":
        return -float(np.abs(day.telemetry["score"].to_numpy() - day.labels).mean())
    if fate.task == "binary":
        return float(roc_auc_score(day.labels, day.telemetry["score"].to_numpy()))
    of_classes = [roc_auc_score(day.labels == float(name), day.telemetry[f"p_{name}"].to_numpy()) for name in CLASSES]
    return float(np.mean(of_classes))


def _training(fate: Fate, generator: np.random.Generator) -> pa.Table:
    """Days like those to come, with their weekends and effects."""
    parts = []
    factors, shifts = _day_effects(fate, TRAINING_DAYS, generator)
    for number in range(TRAINING_DAYS):
        share = {"alike": 1.0, "different": 0.6, "none": 0.0}[fate.weekends] if number % 7 > 4 else 1.0
        count = int(TRAINING_ROWS_OF_A_DAY * share)
        columns = _population(generator, count, fate, weekday=number % 7, is_faulty=False)
        predicted = _predicted(fate, columns)
        truth = _of_the_day(fate, predicted, factors[number], shifts[number])
        parts.append(pa.table(columns | _scores(fate, predicted) | {"label": _labels(fate, truth, generator)}))
    table = pa.concat_tables(parts)
    return table.rename_columns({"amount": fate.amount_name})


def _lineage(fate: Fate, training: pa.Table) -> dict[str, Any]:
    p50, p95, longest = fate.promise
    importance = {fate.amount_name if name == "amount" else name: share for name, share in IMPORTANCE.items()}
    of_task: dict[str, Any] = {"task": fate.task}
    if fate.task == "regression":
        of_task |= {"score_kind": "value"}
    else:
        of_task |= {"baseline": {"auc": _training_auc(fate, training)}}
    if fate.task == "multiclass":
        of_task |= {"classes": list(CLASSES)}
    return of_task | {
        "model_id": fate.name,
        "model_version": "v1",
        "training_run_id": "run-1",
        "training_dataset_id": f"{fate.name}-2023",
        "training_data": f"../training/{fate.name}.parquet",
        "target": "label",
        "score": "score",
        "features": [*(fate.amount_name if name == "amount" else name for name in NUMBERS), "channel", "country"],
        "label_delay": {"p50_days": p50, "p95_days": p95, "max_days": longest},
        "released_at": datetime.combine(START, time()),
        "feature_importance": importance,
    }


def _training_auc(fate: Fate, training: pa.Table) -> float:
    labels = training["label"].to_numpy()
    if fate.task == "binary":
        return float(roc_auc_score(labels, training["score"].to_numpy()))
    return float(np.mean([roc_auc_score(labels == float(name), training[f"p_{name}"].to_numpy()) for name in CLASSES]))


def write(root: Path, fates: Sequence[Fate], seed: int, **sections: Any) -> Settings:
    """Write telemetry, labels, training data, lineage, driftlake.yaml and fates.yaml; `sections` add to driftlake.yaml."""
    for folder in ("telemetry", "labels", "lineage", "training"):
        (root / folder).mkdir(parents=True)
    generators = [np.random.default_rng([seed, FATES.index(fate)]) for fate in fates]
    effects = []
    for fate, generator in zip(fates, generators, strict=True):
        training = _training(fate, generator)
        pq.write_table(training, root / "training" / f"{fate.name}.parquet")
        (root / "lineage" / f"{fate.name}.yaml").write_text(yaml.safe_dump(_lineage(fate, training)))
        effects.append(np.column_stack(_day_effects(fate, DAYS, generator)))
    arriving: list[list[pa.Table]] = [[] for _ in range(DAYS)]
    for number in range(DAYS):
        days = [_day(f, number, tuple(e[number]), g) for f, e, g in zip(fates, effects, generators, strict=True)]
        delivered = [day for day in days if day is not None]
        if delivered:
            predictions = pa.concat_tables([day.telemetry for day in delivered], promote_options="default")
            _write(root / "telemetry", number, predictions)
        for day in delivered:
            for delay in np.unique(day.delays[day.delays >= 0]):
                if number + delay < DAYS:
                    rows = np.flatnonzero(day.delays == delay)
                    ids = [day.ids[row] for row in rows.tolist()]
                    arriving[number + delay].append(pa.table({"correlation_id": ids, "label": day.labels[rows]}))
    for number, tables in enumerate(arriving):
        if tables:
            _write(root / "labels", number, pa.concat_tables(tables))
    (root / "driftlake.yaml").write_text(yaml.safe_dump(_configuration() | sections))
    (root / "fates.yaml").write_text(yaml.safe_dump({fate.name: _expectation(fate) for fate in fates}))
    return load_settings(root / "driftlake.yaml")


def _configuration() -> dict[str, Any]:
    return {
        "telemetry": {"path": "telemetry", "class_scores": {"prefix": "p_"}},
        "labels": {"path": "labels"},
        "lineage": {"path": "lineage"},
        "start": START,
        "end": START + timedelta(days=DAYS - 1),
    }


def _expectation(fate: Fate) -> dict[str, Any]:
    """What the judge needs to know of a model."""
    is_fault = fate.expected != "well"
    fault_on = START + timedelta(days=fate.fault_day) if fate.fault else None
    return {"expected": fate.expected, "fault_on": fault_on} | (
        {"known_by": fate.known_by, "promised_days": fate.promise[2]} if is_fault else {}
    )


def _write(folder: Path, number: int, table: pa.Table) -> None:
    partition = folder / f"dt={START + timedelta(days=number)}"
    partition.mkdir()
    pq.write_table(table, partition / "part-0.parquet")


def main() -> None:
    """Write the project unless it is there, and run its days."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[fate.name for fate in FATES], help="Models to write.")
    arguments = parser.parse_args()
    fates = [fate for fate in FATES if not arguments.only or fate.name in arguments.only]
    started = clock.perf_counter()
    if not (arguments.folder / "fates.yaml").exists():
        write(arguments.folder, fates, arguments.seed)
        print(f"written in {clock.perf_counter() - started:.0f} s")
    settings = load_settings(arguments.folder / "driftlake.yaml")
    run(settings, START, START + timedelta(days=DAYS - 1))
    print(f"run in {clock.perf_counter() - started:.0f} s with the writing")


if __name__ == "__main__":
    main()
