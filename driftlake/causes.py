"""What alerts may come from: a registry of causes, each with a query that finds evidence of it at the same time.

Another cause is a file of sql/causes/ and an entry in CAUSES. Not here: which alerts are one incident (incidents.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from driftlake.warehouse import Warehouse

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause: sql/causes/<name>.sql finds evidence among the suspects of incidents.

    Its rows have incident_id, subject, known_on (the first day on which it could be known), strength (0 to 1), and what
    `sentence` is filled with. Of several causes the one with the largest `weight` x strength is the most probable:
    what names a mechanism weighs more than what only goes along with it.
    """

    name: str
    sentence: str
    weight: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a cause of an incident, from the day on which it could be known."""

    incident_id: str
    known_on: date
    cause: str
    sentence: str
    score: float


CAUSES = (
    Cause("schema_change", "{message}", 1.0),
    Cause(
        "labels_stopped", "{label_count:,.0f} labels arrived on {stopped_on}, usually {label_count_before:,.0f}", 0.95
    ),
    Cause("unit_change", "{subject} is {factor:.3g} times what it was, as if its unit had changed", 0.95),
    Cause("missing_values", "{share:.0%} of {subject} is missing, before {share_before:.0%}", 0.9),
    Cause("unseen_categories", "{share:.0%} of {subject} are categories that training never had", 0.9),
    Cause(
        "release",
        "version {model_version} makes {share:.0%} of the {deployment} predictions, before {share_before:.0%}",
        0.85,
    ),
    Cause(
        "one_segment",
        "{segment}, {row_share:.0%} of the rows, explains {shift_share:.0%} of the shift of {feature}",
        0.6,
    ),
    Cause(
        "volume_change", "{row_count:,.0f} predictions of {subject} on the day, usually {row_count_before:,.0f}", 0.6
    ),
    Cause("broken_contract", "{message}", 0.55),
    Cause("quarantine", "{message}", 0.5),
)


def find_evidence(warehouse: Warehouse, suspects: pa.Table) -> dict[str, list[Evidence]]:
    """Evidence by incident, for what `suspects` (incident_id, signal, model_id, ...) names and the days it names."""
    with warehouse.offered(suspects=suspects):
        found = [
            _evidence(cause, row)
            for cause in CAUSES
            for row in _strongest(warehouse.query(f"causes/{cause.name}").to_pylist())
        ]
    by_incident: dict[str, list[Evidence]] = {}
    for one in found:
        by_incident.setdefault(one.incident_id, []).append(one)
    return by_incident


def known_on(evidence: Sequence[Evidence], day: date) -> list[Evidence]:
    """What could be known by the end of a day, the most telling first, the best of each cause."""
    best: dict[str, Evidence] = {}
    for one in sorted((one for one in evidence if one.known_on <= day), key=_rank):
        best.setdefault(one.cause, one)
    return list(best.values())


def _rank(one: Evidence) -> tuple[float, str, str]:
    return -one.score, one.cause, one.sentence


def _strongest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each incident and subject: each row that says more than all that were known before it."""
    kept: list[dict[str, Any]] = []
    strengths: dict[tuple[str, str], float] = {}
    for row in sorted(rows, key=lambda row: (row["known_on"], -row["strength"], str(sorted(map(str, row.values()))))):
        key = row["incident_id"], row["subject"]
        # what grows a little says nothing new
        if row["strength"] > strengths.get(key, 0) + 0.1:
            strengths[key] = row["strength"]
            kept.append(row)
    return kept


def _evidence(cause: Cause, row: dict[str, Any]) -> Evidence:
    sentence = cause.sentence.format(**row).rstrip(".")
    return Evidence(row["incident_id"], row["known_on"], cause.name, sentence, cause.weight * row["strength"])
