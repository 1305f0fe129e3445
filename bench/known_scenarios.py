"""Writes models with known faults as one project: worlds without a fault, and worlds with one fault.

Each model scores 150 days of 2024, with generated rows (AUC about 0.75; a regression has errors, a model of three
classes a macro AUC) or with real ones. Faults begin around the 90th day, for each model on a different day. The loss of
a fault is measured on a large sample, so that a loss of 0.05 is exactly that. `scenarios.yaml` beside driftlake.yaml has
the right verdict of each model.

    PYTHONPATH=$PWD python -m bench.known_scenarios FOLDER [--seed 1] [--rows flights] [--only calm slice_loss]   # write it, run it
    PYTHONPATH=$PWD python -m bench.decisions FOLDER                                                           # judge it

Not here: the models (`bench.scenarios`), their rows (`bench.made_up_rows`, `bench.real_rows`), what is judged, and how (`bench.decisions`).
"""

from __future__ import annotations

import argparse
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from sklearn.metrics import roc_auc_score

from bench.made_up_rows import MadeUpRows
from bench.scenarios import CLASSES, DAYS, SCENARIOS, START, Array, Cases, Columns, Rows, Scenario, probability
from bench.stages import run
from driftlake.config import Settings, load_settings

TRAINING_DAYS, TRAINING_ROWS_OF_A_DAY = 300, 200
SLOW_DAYS = 40
ROWS = ("made-up", "flights")
# between them the loss is interpolated
_STRENGTHS = np.unique([0, *np.geomspace(1 / 128, 1 / 4, 11), *np.linspace(0, 1, 9)])


# --- the loss of a fault ---


def _scores(scenario: Scenario, predicted: Array) -> Columns:
    if scenario.task == "regression":
        return {"score": predicted}
    scores = probability(predicted)
    if scenario.task == "binary":
        return {"score": scores}
    of_classes = {f"p_{name}": scores[:, place] for place, name in enumerate(CLASSES)}
    return {
        "score": scores.max(axis=1),
        "predicted_class": np.array(CLASSES)[scores.argmax(axis=1)],
    } | of_classes


def _truth(scenario: Scenario, cases: Cases, strength: float, generator: np.random.Generator) -> Array:
    """The prediction that labels follow: that of the row, or by the strength of the loss that of another row.

    A loss in a slice exchanges predictions within the slice, so that neither its rate nor any feature changes.
    """
    predicted = cases.predicted
    if not strength:
        return predicted
    rows = np.flatnonzero(cases.is_in_slice) if scenario.fault == "slice_loss" else np.arange(len(predicted))
    truth = predicted.copy()
    truth[rows] = (1 - strength) * predicted[rows] + strength * predicted[generator.permutation(rows)]
    return truth


def _strength(scenario: Scenario, day: int, rows: Rows) -> float:
    if scenario.fault == "slice_loss":
        return _strength_that_costs(scenario, scenario.size, rows)
    if scenario.fault == "slow_loss":
        return _strength_that_costs(
            scenario, scenario.size * min((day - scenario.fault_day + 1) / SLOW_DAYS, 1.0), rows
        )
    return 0.0


def _narrower(scenario: Scenario, rows: Rows) -> float:
    return _strength_that_costs(scenario, scenario.size, rows) if scenario.fault == "harder_cases" else 0.0


def _strength_that_costs(scenario: Scenario, wanted: float, rows: Rows) -> float:
    losses = _losses(scenario, rows)
    if losses[-1] < wanted:
        raise ValueError(f"{scenario.name}: no strength costs {wanted}, all of it costs {losses[-1]:.4f}")
    return float(np.interp(wanted, losses, _STRENGTHS))


@cache
def _losses(scenario: Scenario, rows: Rows) -> Array:
    """The losses of some strengths."""
    loss = _loss_of(scenario, rows)
    return np.array([loss(strength) for strength in _STRENGTHS])


def _loss_of(scenario: Scenario, rows: Rows) -> Callable[[float], float]:
    """The loss of a strength of the fault in the metric of the task, on a large sample."""

    def quality(strength: float) -> float:
        is_harder = scenario.fault == "harder_cases"
        cases = rows.sample(scenario, strength if is_harder else 0.0)
        truth = _truth(scenario, cases, 0.0 if is_harder else strength, np.random.default_rng(6))
        return _quality(scenario, cases, truth, rows)

    before = quality(0.0)
    if scenario.task == "regression":
        return lambda strength: quality(strength) / before - 1
    return lambda strength: before - quality(strength)


def _quality(scenario: Scenario, cases: Cases, truth: Array, rows: Rows) -> float:
    """The expected AUC of scores, macro AUC of classes, or mean absolute error."""
    if scenario.task == "regression":
        return float(np.abs(cases.predicted - rows.labels(scenario, cases, truth, np.random.default_rng(7))).mean())
    scores, rates = probability(cases.predicted), probability(truth)
    if scenario.task == "binary":
        return _expected_auc(scores, rates)
    return float(np.mean([_expected_auc(scores[:, place], rates[:, place]) for place in range(len(CLASSES))]))


def _expected_auc(scores: Array, rates: Array) -> float:
    labels = np.repeat([1, 0], len(scores))
    return float(roc_auc_score(labels, np.tile(scores, 2), sample_weight=np.concatenate([rates, 1 - rates])))


def _day_effects(scenario: Scenario, days: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Factor and shift of the log odds of each day, autocorrelated."""
    effects = np.empty((2, days))
    effects[:, 0] = generator.normal(size=2)
    keep = scenario.autocorrelation
    for day in range(1, days):
        effects[:, day] = keep * effects[:, day - 1] + np.sqrt(1 - keep**2) * generator.normal(size=2)
    return 1 + scenario.slope_sd * effects[0], scenario.shift_sd * effects[1]


def _of_the_day(scenario: Scenario, truth: Array, factor: float, shift: float) -> Array:
    if scenario.task == "regression":
        return truth + 10 * shift
    return factor * truth + (shift if scenario.task == "binary" else 0.0)


# --- files ---


@dataclass(frozen=True, slots=True)
class Day:
    """The files of a model for a day: predictions, labels, and the delay of each label in days (-1: never)."""

    telemetry: pa.Table
    ids: Sequence[str]
    labels: Array
    delays: Array


def _day(
    scenario: Scenario, rows: Rows, number: int, effect: tuple[float, float], generator: np.random.Generator
) -> Day | None:
    day = START + timedelta(days=number)
    is_weekend, is_faulty = day.weekday() > 4, number >= scenario.fault_day
    if scenario.weekends == "none" and is_weekend:
        return None
    usual = scenario.rows * (0.6 if scenario.weekends == "different" and is_weekend else 1.0)
    count = int(generator.poisson(usual * generator.lognormal(0, 0.05)))
    cases = rows.cases(
        scenario,
        count,
        generator,
        weekday=day.weekday(),
        is_faulty=is_faulty,
        narrower=is_faulty * _narrower(scenario, rows),
    )
    strength = _strength(scenario, number, rows) if is_faulty else 0.0
    truth = _of_the_day(scenario, _truth(scenario, cases, strength, generator), *effect)
    labels = rows.labels(scenario, cases, truth, generator)
    delivered = rows.delivered(scenario, cases.columns) if is_faulty else cases.columns
    is_as_scored = delivered is cases.columns or scenario.fault == "unit_logged"
    predicted = cases.predicted if is_as_scored else rows.predicted(scenario, delivered)
    ids = [f"{scenario.name}-{number}-{row}" for row in range(count)]
    seconds = generator.integers(0, 86_400, count)
    named = {scenario.name_of(name, rows): values for name, values in delivered.items()}
    if scenario.fault == "column_gone" and is_faulty:
        del named[scenario.name_of(rows.lost_feature, rows)]
    telemetry = pa.table(
        named
        | {
            "correlation_id": ids,
            "event_time": [datetime.combine(day, time()) + timedelta(seconds=int(each)) for each in seconds],
            "model_id": [scenario.name] * count,
            "model_version": ["v1"] * count,
        }
        | _scores(scenario, predicted)
    )
    return Day(telemetry, ids, labels, _delays(scenario, number, count, generator))


def _delays(scenario: Scenario, number: int, count: int, generator: np.random.Generator) -> Array:
    if scenario.labels == "weekly":
        # on Mondays, everything up to the day before
        return np.full(count, 7 - number % 7)
    delays = generator.choice([1, 2, 3], count, p=(0.4, 0.4, 0.2))
    stopped = scenario.fault == "labels_stopped"
    return np.where(stopped & (number + delays >= scenario.fault_day), -1, delays)


def daily_values(scenario: Scenario, generator: np.random.Generator, rows: Rows) -> Array:
    """The metric of each day by all of its labels, larger is better: AUC, macro AUC of classes, or the error with its sign reversed."""
    effects = np.column_stack(_day_effects(scenario, DAYS, generator))
    values = np.full(DAYS, np.nan)
    for number in range(DAYS):
        if day := _day(scenario, rows, number, tuple(effects[number]), generator):
            values[number] = _realised(scenario, day)
    return values


def _realised(scenario: Scenario, day: Day) -> float:
    if scenario.task == "regression":
        return -float(np.abs(day.telemetry["score"].to_numpy() - day.labels).mean())
    if scenario.task == "binary":
        return float(roc_auc_score(day.labels, day.telemetry["score"].to_numpy()))
    of_classes = [roc_auc_score(day.labels == float(name), day.telemetry[f"p_{name}"].to_numpy()) for name in CLASSES]
    return float(np.mean(of_classes))


def _training(scenario: Scenario, rows: Rows, generator: np.random.Generator) -> pa.Table:
    """Training days with the same weekends and day effects as the later ones."""
    parts = []
    factors, shifts = _day_effects(scenario, TRAINING_DAYS, generator)
    for number in range(TRAINING_DAYS):
        share = {"alike": 1.0, "different": 0.6, "none": 0.0}[scenario.weekends] if number % 7 > 4 else 1.0
        count = int(TRAINING_ROWS_OF_A_DAY * share)
        cases = rows.cases(scenario, count, generator, weekday=number % 7, is_faulty=False, narrower=0.0)
        truth = _of_the_day(scenario, cases.predicted, factors[number], shifts[number])
        labels = rows.labels(scenario, cases, truth, generator)
        parts.append(pa.table(cases.columns | _scores(scenario, cases.predicted) | {"label": labels}))
    # a day without rows has no types
    table = pa.concat_tables(parts, promote_options="default")
    return table.rename_columns([scenario.name_of(name, rows) for name in table.column_names])


def _lineage(scenario: Scenario, rows: Rows, training: pa.Table) -> dict[str, Any]:
    p50, p95, longest = scenario.promise
    of_task: dict[str, Any] = {"task": scenario.task}
    if scenario.task == "regression":
        of_task |= {"score_kind": "value"}
    else:
        of_task |= {"baseline": {"auc": _training_auc(scenario, training)}}
    if scenario.task == "multiclass":
        of_task |= {"classes": list(CLASSES)}
    return of_task | {
        "model_id": scenario.name,
        "model_version": "v1",
        "training_run_id": "run-1",
        "training_dataset_id": f"{scenario.name}-2023",
        "training_data": f"../training/{scenario.name}.parquet",
        "target": "label",
        "score": "score",
        "features": [scenario.name_of(name, rows) for name in rows.features],
        "label_delay": {"p50_days": p50, "p95_days": p95, "max_days": longest},
        "released_at": datetime.combine(START, time()),
        "feature_importance": {scenario.name_of(name, rows): share for name, share in rows.importance.items()},
    }


def _training_auc(scenario: Scenario, training: pa.Table) -> float:
    labels = training["label"].to_numpy()
    if scenario.task == "binary":
        return float(roc_auc_score(labels, training["score"].to_numpy()))
    return float(np.mean([roc_auc_score(labels == float(name), training[f"p_{name}"].to_numpy()) for name in CLASSES]))


def write(root: Path, scenarios: Sequence[Scenario], seed: int, rows: Rows, **sections: Any) -> Settings:
    """Write telemetry, labels, training data, lineage, driftlake.yaml and scenarios.yaml; `sections` add to driftlake.yaml."""
    for folder in ("telemetry", "labels", "lineage", "training"):
        (root / folder).mkdir(parents=True)
    generators = [np.random.default_rng([seed, SCENARIOS.index(scenario)]) for scenario in scenarios]
    effects = []
    for scenario, generator in zip(scenarios, generators, strict=True):
        training = _training(scenario, rows, generator)
        pq.write_table(training, root / "training" / f"{scenario.name}.parquet")
        (root / "lineage" / f"{scenario.name}.yaml").write_text(yaml.safe_dump(_lineage(scenario, rows, training)))
        effects.append(np.column_stack(_day_effects(scenario, DAYS, generator)))
    arriving: list[list[pa.Table]] = [[] for _ in range(DAYS)]
    for number in range(DAYS):
        days = [
            _day(f, rows, number, tuple(e[number]), g) for f, e, g in zip(scenarios, effects, generators, strict=True)
        ]
        delivered = [day for day in days if day is not None]
        if delivered:
            predictions = pa.concat_tables([day.telemetry for day in delivered], promote_options="default")
            _write(root / "telemetry", number, predictions)
        for day in delivered:
            for delay in np.unique(day.delays[day.delays >= 0]):
                if number + delay < DAYS:
                    places = np.flatnonzero(day.delays == delay)
                    ids = [day.ids[place] for place in places.tolist()]
                    arriving[number + delay].append(pa.table({"correlation_id": ids, "label": day.labels[places]}))
    for number, tables in enumerate(arriving):
        if tables:
            _write(root / "labels", number, pa.concat_tables(tables))
    (root / "driftlake.yaml").write_text(yaml.safe_dump(_configuration() | sections))
    (root / "scenarios.yaml").write_text(
        yaml.safe_dump({scenario.name: _expectation(scenario) for scenario in scenarios})
    )
    return load_settings(root / "driftlake.yaml")


def _configuration() -> dict[str, Any]:
    return {
        "telemetry": {"path": "telemetry", "class_scores": {"prefix": "p_"}},
        "labels": {"path": "labels"},
        "lineage": {"path": "lineage"},
        "start": START,
        "end": START + timedelta(days=DAYS - 1),
    }


def _expectation(scenario: Scenario) -> dict[str, Any]:
    """The facts about a model that `bench.decisions` needs."""
    is_fault = scenario.expected != "well"
    fault_on = START + timedelta(days=scenario.fault_day) if scenario.fault else None
    return {"expected": scenario.expected, "fault_on": fault_on} | (
        {"known_by": scenario.known_by, "promised_days": scenario.promise[2]} if is_fault else {}
    )


def _write(folder: Path, number: int, table: pa.Table) -> None:
    partition = folder / f"dt={START + timedelta(days=number)}"
    partition.mkdir()
    pq.write_table(table, partition / "part-0.parquet")


def rows_of(name: str) -> Rows:
    """Rows by the name in ROWS."""
    if name == "made-up":
        return MadeUpRows()
    from bench.real_rows import FlightRows  # noqa: PLC0415  # it needs the packages of the flights example

    return FlightRows()


def main() -> None:
    """Write the project unless it exists, and run its days."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", choices=ROWS, default=ROWS[0], help="Where rows come from.")
    parser.add_argument("--only", nargs="+", choices=[scenario.name for scenario in SCENARIOS], help="Models to write.")
    arguments = parser.parse_args()
    scenarios = [scenario for scenario in SCENARIOS if not arguments.only or scenario.name in arguments.only]
    started = clock.perf_counter()
    if not (arguments.folder / "scenarios.yaml").exists():
        write(arguments.folder, scenarios, arguments.seed, rows_of(arguments.rows))
        print(f"written in {clock.perf_counter() - started:.0f} s")
    settings = load_settings(arguments.folder / "driftlake.yaml")
    run(settings, START, START + timedelta(days=DAYS - 1))
    print(f"run in {clock.perf_counter() - started:.0f} s with the writing")


if __name__ == "__main__":
    main()
