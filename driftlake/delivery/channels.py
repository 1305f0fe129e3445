"""Sends notices of incidents: each change once per channel. Failed deliveries are recorded and tried again.

A delivery that fails never fails a run; the next run tries again. Not here: what an incident is
(`driftlake.alerts.incidents`) and how it is worded (`driftlake.delivery.notices`).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from driftlake.config import Channel, Settings
from driftlake.delivery.notices import Change, Notice, compose, links_of
from driftlake.errors import ConfigurationError
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse

# A channel that does not answer must not delay the run for long.
_TIMEOUT_SECONDS = 10
_RETRIES, _BACK_OFF_SECONDS = 3, 1.0
_SEVERITIES = ("warn", "critical")
# Every nightly run renews an open alert of Alertmanager; if one or two runs fail, the alert must not expire.
_ALERT_LASTS = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of sending a notice; `error` is None if it was delivered."""

    channel: str
    notice: Notice
    error: str | None


def due_notices(
    channel: Channel, incidents: Iterable[Mapping[str, Any]], told: Mapping[str, tuple[Change, str]]
) -> list[Notice]:
    """Changes of which a channel has not got a notice.

    `told` has the last change that was delivered and its severity, by incident. There is no notice of a resolved
    incident whose opening was never notified, or of a silenced incident.
    """
    notices = []
    for incident in incidents:
        change = _change_since(incident, told.get(incident["incident_id"]))
        if change and incident["is_to_be_told"] and _matters(channel, incident, told):
            notices.append(compose(channel, change, incident))
    return notices


def current_incidents(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The newest row of every incident. Incidents that were open and are not in the newest day any more count as resolved."""
    rows: list[dict[str, Any]] = warehouse.query("deliverable_incidents").to_pylist()
    return rows


def deliver(
    warehouse: Warehouse, settings: Settings, incidents: Sequence[Mapping[str, Any]], now: datetime | None = None
) -> list[Delivery]:
    """Send every channel the notices that it has not got yet, and record the results."""
    incidents = [{**incident, "links": links_of(settings, incident)} for incident in incidents]
    done = []
    for channel in settings.delivery.channels:
        told = {
            row["incident_id"]: (row["change"], row["severity"])
            for row in warehouse.query("told_changes", channel=channel.name).to_pylist()
        }
        due = due_notices(channel, incidents, told)
        done += [_attempt(channel, notice) for notice in due]
        if channel.kind == "alertmanager":
            _remind(channel, incidents, told, due)
    if done:
        attempted_at = now or datetime.now(UTC)
        rows = [_row(delivery, attempted_at) for delivery in done]
        warehouse.append("deliveries", pa.Table.from_pylist(rows, schema=arrow_schema("deliveries")))
    return done


def _change_since(incident: Mapping[str, Any], told: tuple[Change, str] | None) -> Change | None:
    is_over = incident["state"] == "resolved"
    if told is None:
        return None if is_over else "opened"
    change, severity = told
    if is_over:
        return None if change == "resolved" else "resolved"
    is_worse = _SEVERITIES.index(incident["severity"]) > _SEVERITIES.index(severity)
    return "escalated" if is_worse else "opened" if change == "resolved" else None


def _matters(channel: Channel, incident: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a channel gets notices of an incident: it pages and is severe enough, or the channel has got one before."""
    is_wanted = (incident["pages"] or channel.incidents == "all") and incident["severity"] in channel.severities
    return is_wanted or incident["incident_id"] in told


def _remind(
    channel: Channel,
    incidents: Iterable[Mapping[str, Any]],
    told: Mapping[str, tuple[Change, str]],
    due: Sequence[Notice],
) -> None:
    """Send open alerts again, because Alertmanager resolves alerts that it does not receive again."""
    new = {notice.incident["incident_id"] for notice in due}
    for incident in incidents:
        change, _ = told.get(incident["incident_id"], ("resolved", ""))
        is_open = incident["state"] != "resolved" and change != "resolved" and incident["is_to_be_told"]
        if is_open and incident["incident_id"] not in new:
            _attempt(channel, compose(channel, change, incident))


def _attempt(channel: Channel, notice: Notice) -> Delivery:
    try:
        _SENDERS[channel.kind](_address(channel), notice)
    except Exception as error:  # noqa: BLE001  # whatever a service does, the run continues
        reason = _reason(error)
        logging.getLogger(__name__).warning("channel %s: %s", channel.name, reason)
        return Delivery(channel.name, notice, reason)
    return Delivery(channel.name, notice, None)


def _reason(error: Exception) -> str:
    """Why a delivery failed, without the address: it is a secret, and HTTP libraries put it into their errors."""
    if isinstance(error, ConfigurationError):
        return error.message
    if (answer := getattr(error, "response", None)) is not None:
        return f"the service answered {answer.status_code}"
    return f"the service could not be reached or refused the message ({type(error).__name__})"


def _address(channel: Channel) -> str:
    address = os.environ.get(channel.address_variable)
    if not address:
        raise ConfigurationError(
            f"environment variable {channel.address_variable}, the address of channel {channel.name}, is not set"
        )
    return address


def _send_by_apprise(address: str, notice: Notice) -> None:
    try:
        import apprise
    except ImportError as error:
        raise ConfigurationError("apprise is not installed: install driftlake[delivery]") from error

    service = apprise.Apprise()
    if not service.add(address):
        raise ConfigurationError("apprise does not support this address")
    for attempt in range(_RETRIES):
        time.sleep(attempt * _BACK_OFF_SECONDS)
        if service.notify(title=notice.title, body=notice.body):
            return
    raise ConnectionError


def _post(address: str, content: Any) -> None:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    retry = Retry(
        total=_RETRIES,
        backoff_factor=_BACK_OFF_SECONDS,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
    )
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        body = json.dumps(content, default=str)
        answer = session.post(
            address, data=body, headers={"Content-Type": "application/json"}, timeout=_TIMEOUT_SECONDS
        )
        answer.raise_for_status()


def _send_by_webhook(address: str, notice: Notice) -> None:
    _post(address, {"change": notice.change, "title": notice.title, "body": notice.body, "incident": notice.incident})


def _send_by_alertmanager(address: str, notice: Notice) -> None:
    now = datetime.now(UTC)
    ends = dict.fromkeys(_SEVERITIES, now)
    if notice.change != "resolved":
        ends[notice.incident["severity"]] = now + _ALERT_LASTS
    # routes use labels, so severity is one; an alert with another severity is a new alert, and the old one is resolved
    alerts = [_alert(notice, severity, ends_at) for severity, ends_at in ends.items()]
    _post(f"{address.rstrip('/')}/api/v2/alerts", alerts)


def _alert(notice: Notice, severity: str, ends_at: datetime) -> dict[str, Any]:
    incident = notice.incident
    return {
        "labels": {
            "alertname": "driftlake_incident",
            "incident": incident["incident_id"],
            "severity": severity,
            "model": incident["model_id"] or "",
        },
        "annotations": {
            "summary": incident["title"],
            "description": notice.body,
            "runbook_url": incident["links"].get("runbook", incident["runbook"] or ""),
        },
        "startsAt": f"{incident['opened_on']}T00:00:00Z",
        "endsAt": ends_at.isoformat(),
    }


_SENDERS: Mapping[str, Callable[[str, Notice], None]] = {
    "apprise": _send_by_apprise,
    "webhook": _send_by_webhook,
    "alertmanager": _send_by_alertmanager,
}


def _row(delivery: Delivery, attempted_at: datetime) -> dict[str, Any]:
    incident = delivery.notice.incident
    return {
        "dt": incident["dt"],
        "channel": delivery.channel,
        "incident_id": incident["incident_id"],
        "change": delivery.notice.change,
        "severity": incident["severity"],
        "outcome": "failed" if delivery.error else "delivered",
        "error": delivery.error,
        "attempted_at": attempted_at,
    }
