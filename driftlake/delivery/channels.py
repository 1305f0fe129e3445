"""Sends notices of incidents: each change once per channel. Failed deliveries are recorded and tried again.

A delivery that fails never fails a run; the next run tries again. Not here: what an incident is
(`driftlake.alerts.incidents`) and how it is worded (`driftlake.delivery.notices`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from driftlake.config import Channel, Settings, Tier
from driftlake.delivery.notices import Change, Notice, compose, links_of
from driftlake.delivery.posting import NotDeliveredError, post
from driftlake.errors import ConfigurationError
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse

if TYPE_CHECKING:
    from tenacity import Retrying

# A channel that does not answer must not delay the run for long: an attempt waits so long for each part of an answer, and
# all notices of a run together take no longer than this.
_TIMEOUT_SECONDS, _SECONDS_OF_CHANNEL = 10, 30
_ATTEMPTS, _BACK_OFF_SECONDS = 4, 1.0
# A receiver that has seen the id knows the notice already.
_ID_HEADER = "Idempotency-Key"
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
    channel: Channel, incidents: Iterable[Mapping[str, Any]], last_changes: Mapping[str, tuple[Change, str]]
) -> list[Notice]:
    """Changes for which a channel has not yet received a notice.

    `last_changes` has, by incident, the last change that was delivered and its severity. There is no notice of a resolved
    incident whose opening was never notified, or of a silenced incident.
    """
    notices = []
    for incident in incidents:
        change = _change_since(incident, last_changes.get(incident["incident_id"]))
        if change and incident["is_notified"] and _is_for_channel(channel, incident, last_changes):
            notices.append(compose(channel, change, incident))
    return notices


def current_incidents(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The newest row of every incident. Incidents that were open and are not in the newest day any more count as resolved."""
    rows: list[dict[str, Any]] = warehouse.query("delivery/deliverable_incidents").to_pylist()
    return rows


def deliver(
    warehouse: Warehouse, settings: Settings, incidents: Sequence[Mapping[str, Any]], now: datetime | None = None
) -> list[Delivery]:
    """Send every channel the notices that it has not yet received, and record the results."""
    incidents = [
        {**incident, "links": links_of(settings, incident), "tier": _tier(settings, incident)} for incident in incidents
    ]
    done: list[Delivery] = []
    for channel in settings.delivery.channels:
        done += _deliver_to(channel, warehouse, incidents)
    if done:
        attempted_at = warehouse.time_of_next("deliveries", "attempted_at", now or datetime.now(UTC))
        rows = [_row(delivery, attempted_at) for delivery in done]
        warehouse.append("deliveries", pa.Table.from_pylist(rows, schema=arrow_schema("deliveries")))
    return done


def _tier(settings: Settings, incident: Mapping[str, Any]) -> Tier | None:
    """The tier of the model; None if the incident is not about a single model."""
    return settings.tier_of(incident["model_id"]) if incident["model_id"] else None


def _deliver_to(channel: Channel, warehouse: Warehouse, incidents: Sequence[Mapping[str, Any]]) -> list[Delivery]:
    rows = warehouse.query("delivery/notified_changes", channel=channel.name).to_pylist()
    last_changes = {row["incident_id"]: (row["change"], row["severity"]) for row in rows}
    notified_at = {row["incident_id"]: row["notified_at"] for row in rows}
    deadline = time.monotonic() + _SECONDS_OF_CHANNEL

    def attempt(notice: Notice) -> Delivery:
        delivery_id = _delivery_id(channel, notice, notified_at.get(notice.incident["incident_id"]))
        return _attempt(channel, notice, delivery_id, deadline)

    due = due_notices(channel, incidents, last_changes)
    done = [attempt(notice) for notice in due]
    if channel.kind == "alertmanager":
        for notice in _reminders(channel, incidents, last_changes, due):
            attempt(notice)
    return done


def _change_since(incident: Mapping[str, Any], last_change: tuple[Change, str] | None) -> Change | None:
    is_over = incident["state"] == "resolved"
    if last_change is None:
        return None if is_over else "opened"
    change, severity = last_change
    if is_over:
        return None if change == "resolved" else "resolved"
    is_worse = _SEVERITIES.index(incident["severity"]) > _SEVERITIES.index(severity)
    return "escalated" if is_worse else "opened" if change == "resolved" else None


def _is_for_channel(channel: Channel, incident: Mapping[str, Any], last_changes: Mapping[str, Any]) -> bool:
    """Whether a channel gets notices of an incident: it pages and is severe enough, or the channel has got one before."""
    is_wanted = (incident["pages"] or channel.incidents == "all") and incident["severity"] in channel.severities
    return is_wanted or incident["incident_id"] in last_changes


def _reminders(
    channel: Channel,
    incidents: Iterable[Mapping[str, Any]],
    last_changes: Mapping[str, tuple[Change, str]],
    due: Sequence[Notice],
) -> Iterator[Notice]:
    """Notices of open alerts that were sent before, because Alertmanager resolves alerts that it does not receive again."""
    new = {notice.incident["incident_id"] for notice in due}
    for incident in incidents:
        change, _ = last_changes.get(incident["incident_id"], ("resolved", ""))
        is_open = incident["state"] != "resolved" and change != "resolved" and incident["is_notified"]
        if is_open and incident["incident_id"] not in new:
            yield compose(channel, change, incident)


def _attempt(channel: Channel, notice: Notice, delivery_id: str, deadline: float) -> Delivery:
    """Send a notice before the `deadline`, an instant of the monotonic clock."""
    try:
        _send_in_time(channel, notice, delivery_id, deadline)
    except Exception as error:  # noqa: BLE001  # whatever a service does, the run continues
        reason = _reason(error)
        logging.getLogger(__name__).warning("channel %s: %s", channel.name, reason)
        return Delivery(channel.name, notice, reason)
    return Delivery(channel.name, notice, None)


def _send_in_time(channel: Channel, notice: Notice, delivery_id: str, deadline: float) -> None:
    """Send in a thread that is abandoned at the deadline: no timeout of a library ends an answer that arrives byte by byte."""
    address = _address(channel)
    if (seconds := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    outcome: Future[None] = Future()

    def send() -> None:
        try:
            _retrying(deadline)(_SENDERS[channel.kind], channel, address, notice, delivery_id)
        except Exception as error:  # noqa: BLE001  # raised where the outcome is awaited
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    Thread(target=send, daemon=True).start()
    outcome.result(seconds)


def _retrying(deadline: float) -> Retrying:
    from tenacity import Retrying, retry_if_exception, wait_exponential

    return Retrying(
        stop=lambda state: state.attempt_number >= _ATTEMPTS or time.monotonic() >= deadline,
        wait=wait_exponential(multiplier=_BACK_OFF_SECONDS),
        retry=retry_if_exception(_may_succeed_later),
        reraise=True,
    )


def _may_succeed_later(error: BaseException) -> bool:
    """Whether to try again: the network failed, or the service is overloaded."""
    if isinstance(error, NotDeliveredError):
        return error.is_transient
    # exceptions of requests are OSErrors, and ValueErrors if the address itself is wrong
    return isinstance(error, OSError) and not isinstance(error, ValueError)


def _reason(error: Exception) -> str:
    """Why a delivery failed, without the address: it is a secret, and HTTP libraries put it into their errors."""
    if isinstance(error, ConfigurationError):
        return error.message
    if isinstance(error, NotDeliveredError):
        return str(error)
    if isinstance(error, ImportError):
        return f"{error.name} is not installed: install driftlake[delivery]"
    if isinstance(error, TimeoutError):
        return f"the service did not answer in time: a channel has {_SECONDS_OF_CHANNEL} seconds in each run"
    return f"the service could not be reached or refused the message ({type(error).__name__})"


def _address(channel: Channel) -> str:
    address = os.environ.get(channel.address_variable)
    if not address:
        raise ConfigurationError(
            f"environment variable {channel.address_variable}, the address of channel {channel.name}, is not set"
        )
    return address


def _delivery_id(channel: Channel, notice: Notice, notified_at: Any) -> str:
    """The same id whenever the same change is sent again, also by a later run.

    `notified_at` is when the change before it was delivered.
    """
    incident = notice.incident
    parts = (channel.name, incident["incident_id"], notice.change, incident["severity"], str(notified_at))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _send_by_apprise(_channel: Channel, address: str, notice: Notice, _delivery_id: str) -> None:
    try:
        import apprise
    except ImportError as error:
        raise ConfigurationError("apprise is not installed: install driftlake[delivery]") from error

    service = apprise.Apprise()
    if not service.add(address):
        raise ConfigurationError("apprise does not support this address")
    if not service.notify(title=notice.title, body=notice.body):
        raise ConnectionError


def _send_by_webhook(channel: Channel, address: str, notice: Notice, delivery_id: str) -> None:
    content = {"change": notice.change, "title": notice.title, "body": notice.body, "incident": notice.incident}
    _post(channel, address, content, delivery_id)


def _send_by_alertmanager(channel: Channel, address: str, notice: Notice, delivery_id: str) -> None:
    now = datetime.now(UTC)
    ends = dict.fromkeys(_SEVERITIES, now)
    if notice.change != "resolved":
        ends[notice.incident["severity"]] = now + _ALERT_LASTS
    # routes use labels, so severity is one; an alert with another severity is a new alert, and the old one is resolved
    alerts = [_alert(notice, severity, ends_at) for severity, ends_at in ends.items()]
    _post(channel, f"{address.rstrip('/')}/api/v2/alerts", alerts, delivery_id)


def _post(channel: Channel, address: str, content: Any, delivery_id: str) -> None:
    post(
        address,
        content,
        {_ID_HEADER: delivery_id},
        timeout_seconds=_TIMEOUT_SECONDS,
        follows_redirects=channel.follows_redirects,
    )


def _alert(notice: Notice, severity: str, ends_at: datetime) -> dict[str, Any]:
    incident = notice.incident
    return {
        "labels": {
            "alertname": "driftlake_incident",
            "incident": incident["incident_id"],
            "severity": severity,
            "model": incident["model_id"] or "",
            # an alert with a further label is another alert
            **({"tier": incident["tier"]} if incident["tier"] not in (None, "normal") else {}),
        },
        "annotations": {
            "summary": incident["title"],
            "description": notice.body,
            "runbook_url": incident["links"].get("runbook", incident["runbook"] or ""),
        },
        "startsAt": f"{incident['opened_on']}T00:00:00Z",
        "endsAt": ends_at.isoformat(),
    }


_SENDERS: Mapping[str, Callable[[Channel, str, Notice, str], None]] = {
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
