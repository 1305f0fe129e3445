"""A registry of probable causes of alerts, each with a query that finds evidence.

To add a cause, add a file to sql/causes/ and an entry to CAUSES. Not here: which alerts are one incident
(`driftlake.alerts.incidents`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from driftlake.alerts import losses
from driftlake.lake import queries
from driftlake.lake.warehouse import Warehouse
from driftlake.vocabulary.signals import (
    CONTRACT_CHECKS,
    DRIFT_SOURCES,
    FEATURE_BREAKS,
    FEATURE_DRIFT,
    LABEL_BACKLOG,
    MODEL_QUALITY,
    PERFORMANCE,
    PREDICTION_VOLUME,
    SERVICE_LEVELS,
    SLO_STATUS,
)

UNKNOWN = "unknown"
BROKEN_DATA = "broken_data"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause: sql/causes/<name>.sql finds evidence for the alerts of incidents.

    Its rows have incident_id, subject, known_on (the first day on which it could be known), strength (0 to 1), and what
    `sentence` is filled with. The cause with the largest `weight` x strength is the most probable; causes that name a
    mechanism have larger weights than symptoms. It can explain only alerts whose signal begins with one of `explains`.
    """

    name: str
    sentence: str
    weight: float
    explains: tuple[str, ...]
    # an event after an alert opened did not cause it; a measured state may become known later
    is_event: bool = True
    # name of the query if it finds evidence of several causes; each row then has its `cause`
    query: str | None = None
    # computes the evidence from the rows of the query and the smallest cell, where SQL alone cannot
    makes: Callable[[pa.Table, int], list[dict[str, Any]]] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for a cause of an incident, from the day on which it could be known."""

    incident_id: str
    known_on: date
    cause: str
    sentence: str
    score: float
    # the feature that it names, if any
    feature: str | None = None
    # last day of the finding; None if it continues or happened on one day
    ended_on: date | None = None


_LATENCY = (SERVICE_LEVELS.prefix, SLO_STATUS.prefix)
_DRIFT = tuple(source.prefix for source in DRIFT_SOURCES)
_FEATURES = (FEATURE_BREAKS.prefix, FEATURE_DRIFT.prefix)
_HARM = (MODEL_QUALITY.prefix, PERFORMANCE.prefix)
_INPUTS = (CONTRACT_CHECKS.prefix, PREDICTION_VOLUME.prefix, LABEL_BACKLOG.prefix)


def _part_of_loss(name: str, sentence: str, weight: float) -> Cause:
    """A cause that splitting a loss of performance into its parts finds."""
    explains = (PERFORMANCE.prefix,)
    return Cause(name, sentence, weight, explains, is_event=False, query="loss_parts", makes=losses.evidence)


CAUSES = (
    Cause("schema_change", "{message}", 1.0, (*_FEATURES, CONTRACT_CHECKS.prefix, "schema_changes.")),
    Cause(
        "labels_stopped",
        "{label_count:,.0f} labels{whose} arrived on {stopped_on}, usually {label_count_before:,.0f}",
        0.95,
        (LABEL_BACKLOG.prefix, CONTRACT_CHECKS.prefix, SLO_STATUS.prefix),
    ),
    Cause(
        "unit_change",
        "{subject} is {factor:,.4g} times its earlier values, as if its unit had changed",
        0.95,
        _FEATURES,
    ),
    Cause("constant_feature", "{subject} has only one value, and had several before", 0.95, _FEATURES),
    Cause(
        "missing_values",
        "{share:.0%} of {subject} is missing, {share_before:.0%} before",
        0.9,
        _FEATURES,
        query="bin_share",
    ),
    Cause(
        "unseen_categories",
        "{share:.0%} of {subject} are in categories that training never had",
        0.9,
        _FEATURES,
        query="bin_share",
    ),
    Cause(
        "release",
        "version {model_version} makes {share:.0%} of the {deployment} predictions, {share_before:.0%} before",
        0.85,
        (*_HARM, *_DRIFT, *_LATENCY, FEATURE_BREAKS.prefix, "importance_drift.", "multivariate_drift."),
    ),
    Cause(
        BROKEN_DATA,
        "its inputs have been broken since {broken_on} (rule {rule}; see the incidents of kind break)",
        0.8,
        (*_HARM, SLO_STATUS.prefix, "prediction_drift.", "multivariate_drift.", "importance_drift."),
    ),
    Cause(
        "slow_part",
        "{subject} is slower: 95th percentile {p95_ms:.3g} ms on {slow_on}, usually {usual_p95_ms:.3g} ms, "
        "while the others are {usual_factor:.2f} times as slow as usual",
        0.8,
        _LATENCY,
        is_event=False,
    ),
    Cause(
        "latency_stage",
        "{subject} has slowed most: 95th percentile {p95_ms:.3g} ms, usually {usual_p95_ms:.3g} ms",
        0.65,
        _LATENCY,
        is_event=False,
    ),
    Cause(
        "one_segment",
        "{segment}, {row_share:.0%} of the rows, explains {shift_share:.0%} of the shift of {feature}",
        0.6,
        (*_DRIFT, FEATURE_BREAKS.prefix),
        is_event=False,
    ),
    Cause(
        "volume_change",
        "{row_count:,.0f} predictions of {subject} on the day, usually {row_count_before:,.0f}",
        0.6,
        (*_INPUTS, *_LATENCY),
    ),
    Cause(
        "quality_loss",
        "the AUC of {subject} over {window_days} days is {auc:.3f}, but its scores suggest {estimated_auc:.3f}: "
        "the relation between features and target has changed",
        0.6,
        ("model_quality.auc_drop", PERFORMANCE.prefix),
        is_event=False,
    ),
    _part_of_loss(
        "one_segment",
        "{name} of {subject}, {row_share:.0%} of the labels, is {lost} worse since {lost_on}, and {lost_by_rest} in the rest",
        0.65,
    ),
    _part_of_loss(
        "harder_cases",
        "{name} is {lost} worse since {lost_on}: {mix} because {mix_means}, and {within} because {within_means}",
        0.6,
    ),
    _part_of_loss(
        "quality_loss",
        "{name} is {lost} worse since {lost_on}: {within} because {within_means}, and {mix} because {mix_means}",
        0.6,
    ),
    Cause("broken_contract", "{message}", 0.55, (*_INPUTS, FEATURE_BREAKS.prefix)),
    Cause("quarantine", "{message}", 0.5, _INPUTS),
    Cause(
        "training_mismatch",
        "{feature} differed from training from the first day of {model_version} on",
        0.24,
        (FEATURE_DRIFT.prefix,),
    ),
    Cause(
        "slow_shift",
        "{subject} has changed slowly: {statistic} {value:.2g} over {window_days} days, {value_before:.2g} one window "
        "earlier and {value_earlier:.2g} two windows earlier",
        0.22,
        _DRIFT,
    ),
)


def find_evidence(
    warehouse: Warehouse, incident_alerts: pa.Table, lives: pa.Table, smallest_cell: int
) -> dict[str, list[Evidence]]:
    """Evidence by incident, for the alerts and days in `incident_alerts` (incident_id, signal, model_id, ...).

    `lives` are all alerts from the beginning of history on, rows of sql/incidents/lives.sql. Segments with fewer than
    `smallest_cell` rows are not named.
    """
    signals = incident_alerts["signal"].to_pylist()
    before = incident_alerts.set_column(
        incident_alerts.schema.get_field_index("until_on"),
        "until_on",
        pc.min_element_wise(incident_alerts["until_on"], incident_alerts["opened_on"]),
    )
    # the causes of one query explain the same alerts
    by_query = {cause.query or cause.name: cause for cause in CAUSES}
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, cause in by_query.items():
        is_explained = pa.array([signal.startswith(cause.explains) for signal in signals], pa.bool_())
        could = (before if cause.is_event else incident_alerts).filter(is_explained)
        if not could.num_rows:
            continue
        with warehouse.registered(incident_alerts=could, alert_lives=lives):
            latency_alerts = warehouse.query("incidents/latency_alerts")
            with warehouse.registered(latency_alerts=latency_alerts):
                rows[name] = _rows(warehouse, cause, smallest_cell)
    found = [
        _evidence(cause, row)
        for cause in CAUSES
        for row in _strongest(
            [row for row in rows.get(cause.query or cause.name, []) if row.get("cause", cause.name) == cause.name]
        )
    ]
    by_incident: dict[str, list[Evidence]] = {}
    for evidence in found:
        by_incident.setdefault(evidence.incident_id, []).append(evidence)
    return by_incident


def _rows(warehouse: Warehouse, cause: Cause, smallest_cell: int) -> list[dict[str, Any]]:
    """Rows of the query of a cause, with the smallest cell if the query has this parameter."""
    name = f"causes/{cause.query or cause.name}"
    asked = {"smallest_cell": smallest_cell} if "smallest_cell" in queries.parameters(name) else {}
    found = warehouse.query(name, **asked)
    rows: list[dict[str, Any]] = cause.makes(found, smallest_cell) if cause.makes else found.to_pylist()
    return rows


def known_on(evidence: Sequence[Evidence], day: date) -> list[Evidence]:
    """Evidence that could be known by the end of a day: the best of each cause, by descending score."""
    best: dict[str, Evidence] = {}
    for candidate in sorted((candidate for candidate in evidence if candidate.known_on <= day), key=_rank):
        best.setdefault(candidate.cause, candidate)
    return list(best.values())


def _rank(evidence: Evidence) -> tuple[float, str, str]:
    return -evidence.score, evidence.cause, evidence.sentence


def _strongest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each incident and subject, the rows with a higher score than all that were known before."""
    kept: list[dict[str, Any]] = []
    strengths: dict[tuple[str, str], float] = {}
    for row in sorted(rows, key=lambda row: (row["known_on"], -row["strength"], str(sorted(map(str, row.values()))))):
        key = row["incident_id"], row["subject"]
        # small increases are ignored
        if row["strength"] > strengths.get(key, -1) + 0.1:
            strengths[key] = row["strength"]
            kept.append(row)
    return kept


def _evidence(cause: Cause, row: dict[str, Any]) -> Evidence:
    sentence = cause.sentence.format(**row).rstrip(".")
    feature = row["subject"] if cause.explains == _FEATURES else row.get("feature")
    score = cause.weight * row["strength"]
    return Evidence(
        row["incident_id"], row["known_on"], cause.name, sentence, score, feature, ended_on=row.get("ended_on")
    )
