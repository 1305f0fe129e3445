"""Incidents and their alerts as lines of a terminal. Not here: the page (`driftlake.report.pages`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from driftlake.vocabulary.wording import counted

Row = Mapping[str, Any]
# Number of alerts shown per incident; `driftlake sql` shows the others.
_SHOWN = 5


def incident_lines(incidents: Sequence[Row], alerts: Sequence[Row], *, shown: int = _SHOWN) -> Iterator[str]:
    """Each incident with its alerts of the largest weight; alerts without an incident come last."""
    for incident in incidents:
        yield from _incident(incident, members_of(alerts, incident["incident_id"]), shown)
    known = {incident["incident_id"] for incident in incidents}
    for alert in alerts:
        if alert["incident_id"] not in known:
            yield _alert(alert)


def members_of(alerts: Sequence[Row], incident_id: str) -> list[Row]:
    """Alerts of an incident by descending weight."""
    members = [alert for alert in alerts if alert["incident_id"] == incident_id]
    return sorted(members, key=lambda alert: -(alert["weight"] or 0))


def exemplar_lines(alerts: Sequence[Row], exemplars: Sequence[Row]) -> Iterator[str]:
    """Example predictions by their bin of the first alert's feature."""
    for bin_name in dict.fromkeys(row["bin"] for row in exemplars):
        rows = [row for row in exemplars if row["bin"] == bin_name]
        ids = [row["correlation_id"] + (f" (trace {row['trace_id']})" if row["trace_id"] else "") for row in rows]
        yield f"{alerts[0]['feature']} {bin_name}, {rows[0]['growth']:+.0%} since training: {', '.join(ids)}"


def mark_sentence(incident: Row) -> str | None:
    """A sentence on the acknowledgement, silencing or planned downtime of an incident; None if there is none."""
    said = []
    if incident["mark"]:
        words = {"ack": "acknowledged", "snooze": "snoozed", "mute": "muted"}[incident["mark"]]
        reason = f"{incident['marked_by']}: {incident['mark_reason']}"
        said.append(f"{words} until {incident['mark_until_on']} ({reason})")
    if incident["downtime"]:
        said.append(f"planned downtime ({incident['downtime']})")
    return "; ".join(said) or None


def _incident(incident: Row, alerts: Sequence[Row], shown: int) -> Iterator[str]:
    yield f"{incident['severity']:<9}{incident['incident_id']}  {incident['title']}, since {incident['since_on']}"
    if said := mark_sentence(incident):
        yield f"         {said}"
    for sentence in incident["evidence"]:
        yield f"         also: {sentence}"
    if where := [incident[name] for name in ("owner", "runbook") if incident[name]]:
        yield f"         {', '.join(where)}"
    yield from (f"  {alert['severity']:<9}{alert['rule']}: {alert['message']}" for alert in alerts[:shown])
    if len(alerts) > shown:
        yield f"           and {counted(len(alerts) - shown, 'more alert')}"


def _alert(alert: Row) -> str:
    who = "".join(f" ({alert[name]})" for name in ("owner", "runbook") if alert[name])
    return f"{alert['severity']:<9}{alert['rule']}: {alert['message']}{who}"
