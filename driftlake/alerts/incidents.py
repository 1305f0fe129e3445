"""Groups alerts into incidents: alerts of one kind that may have begun together form one incident, with its probable cause first.

Drift that does not page is one standing incident of its model, however many episodes it has.

Incidents follow from alerts and result tables alone, in the order in which alerts opened, and incidents of a day do
not depend on later days: a rerun or a backfill gives the same incidents as nightly runs. Not here: when a rule opens and closes
(sql/alerts/alerts.sql), evidence (`driftlake.alerts.causes`), and acknowledgements (`driftlake.alerts.acknowledgements`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from driftlake.alerts.causes import BROKEN_DATA, UNKNOWN, Evidence, find_evidence, known_on
from driftlake.config import TIER_WEIGHTS, Settings, signal_of
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion
from driftlake.vocabulary.signals import Kind
from driftlake.vocabulary.wording import counted, first_of

_KEY = (
    "rule",
    "model_id",
    "model_version",
    "deployment",
    "segment",
    "feature",
    "window_days",
    "reference",
    "opened_on",
)
# If drift was over for longer than this, new drift is another incident.
_STANDING_DAYS = 90
# Events longer ago are not the cause of drift today.
_FRESH_DAYS = 28
# Days after the repair of broken data for which its effects do not page: windows of 28 days still contain the broken
# days, and labels arrive late.
_REMEMBERED_DAYS = 35
# Different signals of the same loss of predictions.
_VOLUME = ("prediction_volume.lost_share", "telemetry.row_count_is_usual", "telemetry.partition_is_present")
_INCIDENT_ALERT_SCHEMA = pa.schema(
    [
        ("incident_id", pa.string()),
        ("signal", pa.string()),
        ("model_id", pa.string()),
        ("model_version", pa.string()),
        ("deployment", pa.string()),
        ("segment", pa.string()),
        ("feature", pa.string()),
        ("window_days", pa.int32()),
        ("opened_on", pa.date32()),
        ("first_on", pa.date32()),
        ("until_on", pa.date32()),
    ]
)
_IMPORTANCE_SCHEMA = pa.schema(
    [("model_id", pa.string()), ("model_version", pa.string()), ("feature", pa.string()), ("share", pa.float64())]
)


@dataclass(frozen=True, slots=True)
class Life:
    """An alert from the day it opened to the day it was resolved, if it was."""

    rule: str
    signal: str
    model_id: str | None
    model_version: str | None
    deployment: str | None
    segment: str | None
    feature: str | None
    window_days: int
    reference: str | None
    opened_on: date
    since_on: date
    resolved_on: date | None
    # first day on which the version predicted; None if the alert is about no version
    predicted_from: date | None = None
    kind: Kind = "drift"
    pages: bool = False
    # first day on which the alert made its incident page
    paged_on: date | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Its identifying columns."""
        return tuple(getattr(self, name) for name in _KEY)

    @property
    def is_standing(self) -> bool:
        """Whether it belongs to the standing incident of its model."""
        return self.kind == "drift" and not self.pages

    @property
    def about(self) -> tuple[str, str | None, str | None]:
        """The watched signal and feature, independent of rule, version, segment and window."""
        if self.signal in _VOLUME or self.feature in _VOLUME:
            return "volume", None, None
        return self.signal, self.model_id, self.feature

    @property
    def may_begin_on(self) -> date:
        """First day of the window in which its signal crossed the threshold."""
        return max(self.since_on - timedelta(days=self.window_days - 1), self.predicted_from or date.min)


@dataclass(slots=True)
class Episode:
    """Alerts that may have one cause, in the order in which they opened; the first decides when it began."""

    first: Life
    join_days: int
    lives: list[Life] = field(default_factory=list)
    # day up to which an alert may join it or come back to it; None while one of its alerts is open
    open_until: date | None = date.min
    # last day of an alert of it; None while one is open
    last_on: date | None = date.min
    _models: set[str | None] = field(default_factory=set)
    # by signal and feature, the day up to which an alert may return; None while it is open
    _known: dict[tuple[str, str | None, str | None], date | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add(self.first)

    @property
    def key(self) -> str:
        """A hash of the identifying columns of the first alert, the same on every run."""
        return hashlib.sha256(repr([str(part) for part in self.first.key]).encode()).hexdigest()[:12]

    def add(self, life: Life) -> None:
        """Add an alert."""
        self.lives.append(life)
        self._models.add(life.model_id)
        until = None if life.resolved_on is None else life.resolved_on + timedelta(days=self.join_days)
        self.last_on = _later(self.last_on, life.resolved_on)
        self.open_until = _later(self.open_until, until and until + timedelta(days=life.window_days - 1))
        self._known[life.about] = _later(self._known.get(life.about, date.min), until)

    def takes(self, life: Life) -> bool:
        """Whether an alert that opens while the episode is open belongs to it.

        It must be of the same kind. It belongs to the episode if it is about the same model and may have begun with the
        episode as far as its window shows, or if the episode has an alert of the same signal about the same feature that is
        open or was resolved recently. It also belongs to it if the same thing broke in several models on the same day.
        """
        if (life.kind, life.is_standing) != (self.first.kind, self.first.is_standing):
            return False
        return (self._concerns(life) and (self._comes_back(life) or self._began_with(life))) or self._is_shared(life)

    def is_open(self, day: date) -> bool:
        """Whether an alert that opens on `day` may still join."""
        return self.open_until is None or day <= self.open_until

    def _concerns(self, life: Life) -> bool:
        """Whether it is about a model of the episode, or one of the two is about whole partitions and may be the cause of the other."""
        if life.model_id in self._models or None in self._models:
            return True
        # a later problem of a whole partition did not cause an earlier one of a model
        return life.model_id is None and (life.since_on <= self.first.since_on or self._comes_back(life))

    def _is_shared(self, life: Life) -> bool:
        """Whether the same thing broke on the same day in several models, badly enough to page in each."""
        return life.kind == "break" and any(
            (life.signal, life.feature, life.opened_on) == (known.signal, known.feature, known.opened_on)
            and life.feature is not None
            and life.paged_on == known.paged_on == life.opened_on
            for known in self.lives
        )

    def _comes_back(self, life: Life) -> bool:
        until = self._known.get(life.about, date.min)
        # a loss that returns while its window contains earlier days is the same loss
        returned_on = life.may_begin_on if life.kind == "harm" else life.opened_on
        return until is None or returned_on <= until

    def _began_with(self, life: Life) -> bool:
        if self.last_on is not None and life.opened_on > self.last_on + timedelta(days=self.join_days):
            return False
        # an input breaks on one day, so the earlier days of its window are no sign that it broke together with another
        # input
        is_another = life.kind in ("break", "drift") and all(life.feature != known.feature for known in self.lives)
        begins_on = life.since_on if is_another else life.may_begin_on
        return begins_on <= self.first.since_on + timedelta(days=self.join_days)


def _later(end: date | None, other: date | None) -> date | None:
    """The later of two ends; None is no end."""
    return None if end is None or other is None else max(end, other)


@dataclass(slots=True)
class Incident:
    """An incident: one episode, or the standing episodes of a model."""

    episodes: list[Episode]

    @property
    def first(self) -> Life:
        """The alert that opened it."""
        return self.episodes[0].first

    @property
    def incident_id(self) -> str:
        """The same on every run."""
        return self.episodes[0].key

    @property
    def lives(self) -> list[Life]:
        """All of its alerts."""
        return [life for episode in self.episodes for life in episode.lives]

    def continues_with(self, episode: Episode) -> bool:
        """Whether an episode that opened later belongs to the same standing incident."""
        if not (self.first.is_standing and episode.first.is_standing and self.first.model_id == episode.first.model_id):
            return False
        ends = [known.last_on for known in self.episodes]
        last_days = [end for end in ends if end is not None]
        return len(last_days) < len(ends) or episode.first.opened_on <= max(last_days) + timedelta(days=_STANDING_DAYS)


def group_lives(lives: Iterable[Life], join_days: int) -> list[Incident]:
    """Group alerts, in the order in which they opened, into incidents; if several incidents qualify, an alert joins the newest."""
    episodes: list[Episode] = []
    candidates: list[Episode] = []
    for life in lives:
        candidates = [episode for episode in candidates if episode.is_open(life.opened_on)]
        if takers := [episode for episode in candidates if episode.takes(life)]:
            max(takers, key=lambda episode: episode.first.since_on).add(life)
        else:
            episodes.append(Episode(life, join_days))
            candidates.append(episodes[-1])
    incidents: list[Incident] = []
    for episode in episodes:
        if standing := [incident for incident in incidents if incident.continues_with(episode)]:
            standing[-1].episodes.append(episode)
        else:
            incidents.append(Incident([episode]))
    return incidents


def group_alerts(
    warehouse: Warehouse,
    settings: Settings,
    versions: Mapping[tuple[str, str], ModelVersion],
    raised: pa.Table,
    *,
    first_day: date,
    last_day: date,
) -> tuple[pa.Table, pa.Table]:
    """Alerts of some days with their incident and weight, the heaviest first, and the incidents of these days.

    `raised` has all alerts from the beginning of history to `last_day`: an incident is identified by its first alert.
    """
    importances = _importances(versions.values())
    with warehouse.registered(
        raised_alerts=raised,
        importances=importances,
        critical_features=_critical_features(settings),
        tiers=_tiers(settings),
    ):
        raised = warehouse.query("incidents/severities")
    with warehouse.registered(raised_alerts=raised, importances=importances):
        lives = warehouse.query("incidents/lives")
        alerts = warehouse.query("incidents/weights", first_day=first_day, last_day=last_day)
    incidents = group_lives([_life(row) for row in lives.to_pylist()], settings.incidents.join_days)
    places = {
        life.key: (incident, episode)
        for incident in incidents
        for episode in incident.episodes
        for life in episode.lives
    }
    rows = alerts.to_pylist()
    members = [places[tuple(row[name] for name in _KEY)] for row in rows]
    active = {incident.incident_id: incident for incident, _ in members}
    episodes = {episode.key: episode for _, episode in members}
    evidence = find_evidence(warehouse, _incident_alerts(episodes.values()), lives, settings.reports.smallest_cell)
    by_day: dict[tuple[date, str], list[tuple[dict[str, Any], str]]] = {}
    for row, (incident, episode) in zip(rows, members, strict=True):
        by_day.setdefault((row["dt"], incident.incident_id), []).append((row, episode.key))
    models = {model_id for model_id, _ in versions}
    found = []
    for (day, incident_id), of_day in sorted(by_day.items()):
        open_now = [(row, key) for row, key in of_day if row["state"] != "resolved"] or of_day
        # a title names only features of alerts of the day; alerts on scores have no feature
        named = {None, "score", *(row["feature"] for row, _ in open_now)}
        found_out = [each for key in sorted({key for _, key in open_now}) for each in evidence.get(key, [])]
        oldest = day - timedelta(days=_FRESH_DAYS) if active[incident_id].first.is_standing else date.min
        known = known_on([each for each in found_out if each.feature in named and each.known_on >= oldest], day)
        found.append(_row(day, active[incident_id], [row for row, _ in of_day], known, settings, models))
    ids = [incident.incident_id for incident, _ in members]
    with_ids = alerts.append_column("incident_id", pa.array(ids, pa.string()))
    return with_ids, pa.Table.from_pylist(found, arrow_schema("incidents"))


def _life(row: Mapping[str, Any]) -> Life:
    # null for alerts that earlier releases stored
    kind = row["kind"] or signal_of(row["signal"]).kind
    pages = kind != "drift" if row["pages"] is None else row["pages"]
    return Life(**{**row, "kind": kind, "pages": pages})


def _row(
    day: date,
    incident: Incident,
    alerts: Sequence[Mapping[str, Any]],
    evidence: Sequence[Evidence],
    settings: Settings,
    models: set[str],
) -> dict[str, Any]:
    """A row of incidents; `alerts` are those of the day, the heaviest first."""
    still_open = [alert for alert in alerts if alert["state"] != "resolved"]
    state = "ongoing" if day > incident.first.opened_on else "open"
    seen = [life for life in incident.lives if life.opened_on <= day]
    model_ids = {life.model_id for life in seen} - {None}
    return {
        "dt": day,
        "incident_id": incident.incident_id,
        "model_id": next(iter(model_ids)) if len(model_ids) == 1 else None,
        "state": state if still_open else "resolved",
        "severity": "critical" if any(alert["severity"] == "critical" for alert in still_open or alerts) else "warn",
        "opened_on": incident.first.opened_on,
        "since_on": incident.first.since_on,
        "alert_count": len(still_open),
        "model_versions": sorted({alert["model_version"] for alert in alerts if alert["model_version"]}),
        "cause": evidence[0].cause if evidence else UNKNOWN,
        "title": _title(still_open or alerts, evidence, model_ids),
        "evidence": [further.sentence for further in evidence[1:]],
        "rule": (still_open or alerts)[0]["rule"],
        "owner": _first(alerts, "owner"),
        "runbook": _first(alerts, "runbook"),
        "downtime": _downtime(settings, model_ids or models, day),
        "kind": incident.first.kind,
        "pages": any(life.paged_on is not None and life.paged_on <= day for life in seen)
        and not _is_paged_by_its_cause(evidence, day),
    }


def _is_paged_by_its_cause(evidence: Sequence[Evidence], day: date) -> bool:
    """Whether the cause is broken data whose own incident pages: while the data is broken, and while windows contain it."""
    return any(
        each.ended_on is None or day <= each.ended_on + timedelta(days=_REMEMBERED_DAYS)
        for each in evidence
        if each.cause == BROKEN_DATA
    )


def _title(alerts: Sequence[Mapping[str, Any]], evidence: Sequence[Evidence], model_ids: set[str | None]) -> str:
    """The title: the cause, then the affected signals by descending weight."""
    who = first_of(sorted(str(model_id) for model_id in model_ids), 3) or "all models"
    shown = list(dict.fromkeys(alert["feature"] or alert["signal"].partition(".")[2] for alert in alerts))
    what = evidence[0].sentence if evidence else "no probable cause was found"
    return f"{who}: {what} ({counted(len(alerts), 'alert')}: {first_of(shown, 3)})"


def _first(alerts: Sequence[Mapping[str, Any]], name: str) -> str | None:
    return next((alert[name] for alert in alerts if alert[name]), None)


def _downtime(settings: Settings, model_ids: Iterable[str | None], day: date) -> str | None:
    """The reason of the planned downtime of all models on a day; None if one was not planned to be down."""
    reasons = [settings.downtime_of(model_id, day) for model_id in sorted(filter(None, model_ids))]
    return "; ".join(dict.fromkeys(filter(None, reasons))) if reasons and all(reasons) else None


def _incident_alerts(episodes: Iterable[Episode]) -> pa.Table:
    """The alerts and days for which evidence is searched: from the first day in the windows of the first alerts to `join_days` after they opened."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for episode in episodes:
        opened_on = episode.first.opened_on
        first_on = min(life.may_begin_on for life in episode.lives if life.opened_on == opened_on)
        until_on = opened_on + timedelta(days=episode.join_days)
        for life in episode.lives:
            row = {
                "incident_id": episode.key,
                "signal": life.signal,
                "model_id": life.model_id,
                "model_version": life.model_version,
                "deployment": life.deployment,
                "segment": life.segment,
                "feature": life.feature,
                "window_days": life.window_days,
                "opened_on": life.opened_on,
                "first_on": first_on,
                "until_on": until_on,
            }
            rows.setdefault(tuple(row[name] for name in _INCIDENT_ALERT_SCHEMA.names[:8]), row)
    return pa.Table.from_pylist(list(rows.values()), schema=_INCIDENT_ALERT_SCHEMA)


def _critical_features(settings: Settings) -> pa.Table:
    rows = [
        {"model_id": model_id, "feature": feature}
        for model_id, model in settings.models.items()
        for feature in model.critical
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([("model_id", pa.string()), ("feature", pa.string())]))


def _tiers(settings: Settings) -> pa.Table:
    rows = [{"model_id": model_id, "weight": TIER_WEIGHTS[model.tier]} for model_id, model in settings.models.items()]
    return pa.Table.from_pylist(rows, schema=pa.schema([("model_id", pa.string()), ("weight", pa.float64())]))


def _importances(versions: Iterable[ModelVersion]) -> pa.Table:
    """Share of each feature in the importance that its lineage gives; versions without any are left out."""
    rows = []
    for version in versions:
        total = sum(map(abs, version.feature_importance.values()))
        rows += [
            {**version.owner, "feature": feature, "share": abs(value) / total}
            for feature, value in version.feature_importance.items()
            if total
        ]
    return pa.Table.from_pylist(rows, schema=_IMPORTANCE_SCHEMA)
