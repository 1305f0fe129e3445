"""Channels get one notice of each change of an incident; failed deliveries are kept and do not fail a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from data import Row, day, insert, write_project
from pydantic import ValidationError

from driftlake.config import Channel, DeliverySettings, ModelSettings, ReportSettings, Settings
from driftlake.delivery import channels
from driftlake.delivery.channels import deliver, due_notices
from driftlake.lake.warehouse import Warehouse

INCIDENT: Row = {
    "dt": day(3),
    "incident_id": "a1",
    "model_id": "credit",
    "state": "open",
    "severity": "warn",
    "kind": "break",
    "pages": True,
    "title": "x drifted",
    "opened_on": day(2),
    "alert_count": 2,
    "cause": "release",
    "evidence": ["version v2 started on the day"],
    "owner": None,
    "runbook": "https://runbooks.example.org/drift",
    "is_notified": True,
}
WEBHOOK = Channel(name="hook", kind="webhook", address_variable="HOOK")
NOW = datetime(2024, 3, 4, tzinfo=UTC)


class Receiver:
    """A web service on loopback that fails a number of times first, or answers as `answer` says."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []
        # the ids of all requests, also of those that failed
        self.ids: list[str] = []
        self.got: list[str] = []
        self.failures = 0
        self.status = 503
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.is_over = Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.ids.append(self.headers["Idempotency-Key"])
                if receiver.answer and self.path != "/moved":
                    receiver.answer(self)
                    return
                receiver.failures -= 1
                # recorded before the answer, because the sender may stop reading it early
                if receiver.failures < 0:
                    receiver.received.append((self.path, json.loads(body)))
                self.send_response(receiver.status if receiver.failures >= 0 else 200)
                self.end_headers()

            def do_GET(self) -> None:  # the library's name
                receiver.got.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    Thread(target=receiver.server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HOOK", receiver.address)
    monkeypatch.setattr(channels, "_BACK_OFF_SECONDS", 0.0)
    yield receiver
    receiver.is_over.set()
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = write_project(tmp_path / "project", features=["x"], training={"x": [0.0, 1.0], "score": [0.1, 0.9]})
    return with_channel(project, WEBHOOK)


def firing(receiver: Receiver) -> list[set[tuple[str, str]]]:
    """Incident and severity of the firing alerts in each message to Alertmanager."""
    now = datetime.now(UTC)
    return [
        {
            (alert["labels"]["incident"], alert["labels"]["severity"])
            for alert in alerts
            if datetime.fromisoformat(alert["endsAt"]) > now
        }
        for _, alerts in receiver.received
    ]


def with_channel(settings: Settings, channel: Channel) -> Settings:
    return settings.model_copy(update={"delivery": DeliverySettings(channels=(channel,))})


@pytest.mark.parametrize(
    ("sent", "incident", "change"),
    [
        (None, {}, "opened"),
        (("opened", "warn"), {}, None),
        (("opened", "warn"), {"severity": "critical"}, "escalated"),
        (("escalated", "critical"), {"severity": "warn"}, None),
        (("opened", "warn"), {"state": "resolved"}, "resolved"),
        (("resolved", "warn"), {"state": "resolved"}, None),
        (("resolved", "warn"), {}, "opened"),
        (None, {"state": "resolved"}, None),
        (None, {"is_notified": False}, None),
        (None, {"pages": False}, None),
        (("opened", "warn"), {"pages": False, "state": "resolved"}, "resolved"),
    ],
)
def test_a_change_is_due_once(sent: Any, incident: Row, change: str | None) -> None:
    notices = due_notices(WEBHOOK, [INCIDENT | incident], {"a1": sent} if sent else {})
    assert [notice.change for notice in notices] == ([change] if change else [])


def test_a_channel_gets_its_severities_and_the_end_of_what_it_got() -> None:
    channel = WEBHOOK.model_copy(update={"severities": ("critical",)})
    assert due_notices(channel, [INCIDENT], {}) == []
    over = INCIDENT | {"state": "resolved"}
    assert [notice.change for notice in due_notices(channel, [over], {"a1": ("opened", "critical")})] == ["resolved"]


def test_a_channel_may_get_incidents_that_do_not_page() -> None:
    channel = WEBHOOK.model_copy(update={"incidents": "all"})
    assert [notice.change for notice in due_notices(channel, [INCIDENT | {"pages": False}], {})] == ["opened"]


def test_a_webhook_gets_each_change_once(memory: Warehouse, settings: Settings, receiver: Receiver) -> None:
    for hours, state in enumerate(["open", "ongoing", "resolved", "resolved"]):
        deliver(memory, settings, [INCIDENT | {"state": state}], NOW + timedelta(hours=hours))
    assert [content["change"] for _, content in receiver.received] == ["opened", "resolved"]
    assert receiver.received[0][1]["title"] == "[warn] opened: x drifted"
    assert receiver.received[0][1]["incident"]["opened_on"] == str(day(2))


def test_a_service_that_fails_twice_is_asked_again(memory: Warehouse, settings: Settings, receiver: Receiver) -> None:
    receiver.failures = 2
    [done] = deliver(memory, settings, [INCIDENT], NOW)
    assert (done.error, len(receiver.received)) == (None, 1)


def test_a_notice_that_is_sent_again_has_the_same_id_and_a_new_one_another(
    memory: Warehouse, settings: Settings, receiver: Receiver
) -> None:
    receiver.failures = 5
    for hours in (0, 1):
        deliver(memory, settings, [INCIDENT | {"dt": day(3 + hours)}], NOW + timedelta(hours=hours))
    assert len(receiver.ids) == 6
    assert len(set(receiver.ids)) == 1
    for hours, state in ((2, "resolved"), (3, "open")):
        deliver(memory, settings, [INCIDENT | {"state": state}], NOW + timedelta(hours=hours))
    assert len(set(receiver.ids)) == 3


def test_a_change_is_notified_once_although_the_clock_was_set_back(
    memory: Warehouse, settings: Settings, receiver: Receiver
) -> None:
    for hours, state in enumerate(["open", "resolved", "open", "open"]):
        deliver(memory, settings, [INCIDENT | {"state": state}], NOW - timedelta(hours=hours))
    assert [content["change"] for _, content in receiver.received] == ["opened", "resolved", "opened"]


def test_a_refused_notice_is_sent_once_in_a_run(memory: Warehouse, settings: Settings, receiver: Receiver) -> None:
    receiver.failures, receiver.status = 1, 404
    [done] = deliver(memory, settings, [INCIDENT], NOW)
    assert (done.error, len(receiver.ids)) == ("the service answered 404", 1)


def redirect(status: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", "/moved")
        handler.end_headers()

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("is_followed", [False, True])
def test_a_redirected_notice_is_delivered_only_if_the_other_address_gets_the_post(
    memory: Warehouse, settings: Settings, receiver: Receiver, status: int, *, is_followed: bool
) -> None:
    receiver.answer = redirect(status)
    channel = WEBHOOK.model_copy(update={"follows_redirects": is_followed})
    [done] = deliver(memory, with_channel(settings, channel), [INCIDENT], NOW)
    keeps_post = is_followed and status in {307, 308}
    assert (done.error is None, len(receiver.received)) == (keeps_post, int(keeps_post))
    assert is_followed or receiver.got == []


def test_a_slow_answer_delays_a_run_once_for_each_channel(
    memory: Warehouse, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(400):
            if receiver.is_over.wait(0.02):
                return
            handler.wfile.write(b"x")
        handler.wfile.write(b"\r\n\r\n")

    receiver.answer = drip
    monkeypatch.setattr(channels, "_SECONDS_OF_CHANNEL", 0.5)
    done = deliver(memory, settings, [INCIDENT, INCIDENT | {"incident_id": "b2"}], NOW)
    assert [each.error for each in done] == [
        "the service did not answer in time: a channel has 0.5 seconds in each run"
    ] * 2
    assert len(receiver.ids) == 1


def test_an_endless_answer_is_not_read(memory: Warehouse, settings: Settings, receiver: Receiver) -> None:
    written: list[int] = []

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            written.extend(handler.wfile.write(b"x" * 1_000_000) for _ in range(200))

    receiver.answer = flood
    [done] = deliver(memory, settings, [INCIDENT], NOW)
    assert done.error is None
    assert sum(written) < 100_000_000


def test_a_failed_delivery_is_recorded_and_tried_by_the_next_run(
    memory: Warehouse, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/secret")
    deliver(memory, settings, [INCIDENT], NOW)
    monkeypatch.setenv("HOOK", receiver.address)
    deliver(memory, settings, [INCIDENT], NOW + timedelta(hours=1))
    rows = memory.sql("select outcome, error from deliveries order by attempted_at").to_pylist()
    assert [row["outcome"] for row in rows] == ["failed", "delivered"]
    assert "secret" not in rows[0]["error"]
    assert len(receiver.received) == 1


def test_a_missing_address_is_named_and_fails_no_run(
    memory: Warehouse, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    [done] = deliver(memory, settings, [INCIDENT], NOW)
    assert done.error == "environment variable HOOK, the address of channel hook, is not set"


def test_alertmanager_gets_an_alert_with_labels_and_an_end(
    memory: Warehouse, settings: Settings, receiver: Receiver
) -> None:
    manager = with_channel(settings, Channel(name="am", kind="alertmanager", address_variable="HOOK"))
    deliver(memory, manager, [INCIDENT], NOW)
    deliver(memory, manager, [INCIDENT | {"state": "resolved"}], NOW + timedelta(days=1))
    assert [path for path, _ in receiver.received] == ["/api/v2/alerts"] * 2
    assert firing(receiver) == [{("a1", "warn")}, set()]


def test_every_run_sends_open_alerts_to_alertmanager(memory: Warehouse, settings: Settings, receiver: Receiver) -> None:
    manager = with_channel(settings, Channel(name="am", kind="alertmanager", address_variable="HOOK"))
    for hours in (0, 24):
        deliver(memory, manager, [INCIDENT], NOW + timedelta(hours=hours))
    assert firing(receiver) == [{("a1", "warn")}] * 2
    assert memory.sql("select change from deliveries").to_pylist() == [{"change": "opened"}]


def test_an_escalated_incident_is_one_alert_of_alertmanager(
    memory: Warehouse, settings: Settings, receiver: Receiver
) -> None:
    manager = with_channel(settings, Channel(name="am", kind="alertmanager", address_variable="HOOK"))
    deliver(memory, manager, [INCIDENT], NOW)
    deliver(memory, manager, [INCIDENT | {"severity": "critical"}], NOW + timedelta(days=1))
    assert firing(receiver)[1] == {("a1", "critical")}


@pytest.mark.parametrize("kind", ["webhook", "alertmanager"])
@pytest.mark.parametrize(("tier", "said"), [("high", "high"), ("normal", None)])
def test_a_tier_other_than_the_default_is_a_label(
    memory: Warehouse, settings: Settings, receiver: Receiver, kind: Any, tier: Any, said: str | None
) -> None:
    tiered = settings.model_copy(update={"models": {"credit": ModelSettings(tier=tier)}})
    deliver(memory, with_channel(tiered, WEBHOOK.model_copy(update={"kind": kind})), [INCIDENT], NOW)
    [(_, content)] = receiver.received
    labels = content["incident"] if kind == "webhook" else content[0]["labels"]
    body = content["body"] if kind == "webhook" else content[0]["annotations"]["description"]
    # the default tier adds no label, because a label would turn an open alert into another one
    assert labels.get("tier") == (tier if kind == "webhook" else said)
    assert ("Tier: high." in body) == (said is not None)


def test_a_channel_may_have_its_own_templates(memory: Warehouse, settings: Settings, receiver: Receiver) -> None:
    words = WEBHOOK.model_copy(update={"title": "{{ model_id }} {{ change }}", "body": "{{ evidence | join }}"})
    deliver(memory, with_channel(settings, words), [INCIDENT], NOW)
    [(_, content)] = receiver.received
    assert (content["title"], content["body"]) == ("credit opened", "version v2 started on the day")


def test_a_template_that_cannot_be_filled_in_says_so_and_the_notice_goes_out(
    memory: Warehouse, settings: Settings, receiver: Receiver
) -> None:
    deliver(memory, with_channel(settings, WEBHOOK.model_copy(update={"title": "{{ model.name }}"})), [INCIDENT], NOW)
    [(_, content)] = receiver.received
    assert content["title"] == "[warn] opened: x drifted"
    assert "(the template `title` of channel hook cannot be filled in: 'model' is undefined)" in content["body"]


def test_a_template_with_an_error_is_refused_with_its_line() -> None:
    with pytest.raises(ValidationError, match="line 2 of the template: unexpected '}'"):
        Channel(name="hook", kind="webhook", address_variable="HOOK", body="{{ title }}\n{{ }")


def test_a_notice_links_to_the_pages_where_they_are_served(
    memory: Warehouse, settings: Settings, receiver: Receiver
) -> None:
    served = settings.model_copy(update={"reports": ReportSettings(url="https://lake.example.org/")})
    deliver(memory, served, [INCIDENT | {"runbook": "runbooks.html#feature-drift"}], NOW)
    [(_, content)] = receiver.received
    assert content["incident"]["links"] == {
        "page": "https://lake.example.org/2024-03-03.html",
        "data": "https://lake.example.org/2024-03-03.html#data",
        "model": "https://lake.example.org/2024-03-03.html#model-credit",
        "runbook": "https://lake.example.org/runbooks.html#feature-drift",
    }
    assert "Runbook: https://lake.example.org/runbooks.html#feature-drift" in content["body"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise's use of asyncio
def test_apprise_delivers(
    memory: Warehouse, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.address.replace("http://", "json://"))
    [done] = deliver(
        memory, with_channel(settings, Channel(name="mail", kind="apprise", address_variable="HOOK")), [INCIDENT], NOW
    )
    assert done.error is None
    assert receiver.received[0][1]["title"] == "[warn] opened: x drifted"


STORED: Row = {name: value for name, value in INCIDENT.items() if name != "is_notified"} | {
    "since_on": day(2),
    "model_versions": ["v1"],
    "rule": "drift",
}


@pytest.mark.parametrize(
    ("alerts_raised_until", "states"),
    [(4, {"a1": "resolved", "b2": "open"}), (3, {"a1": "open"})],
    ids=["all of the night ran", "the night ended before its alerts"],
)
def test_an_incident_without_a_row_on_the_newest_day_is_resolved(
    memory: Warehouse, alerts_raised_until: int, states: dict[str, str]
) -> None:
    run = {"run_id": "r", "outcome": "complete", "row_count": 1, "code_version": "c"}
    run |= {"config_hash": "h", "snapshot_id": 1, "started_at": NOW, "committed_at": NOW}
    days = {"profiles": day(4), "alerts": day(alerts_raised_until)}
    insert(memory.connection, "partition_runs", [run | {"stage": stage, "dt": dt} for stage, dt in days.items()])
    later = STORED | {"dt": day(4), "incident_id": "b2"}
    insert(memory.connection, "incidents", [STORED, *([later] if alerts_raised_until == 4 else [])])
    assert {incident["incident_id"]: incident["state"] for incident in channels.current_incidents(memory)} == states


def test_a_notice_that_was_delivered_after_a_failure_is_not_undelivered(
    memory: Warehouse, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/")
    deliver(memory, settings, [INCIDENT, INCIDENT | {"incident_id": "b2"}], NOW)
    assert memory.query("delivery/undelivered").num_rows == 2
    monkeypatch.setenv("HOOK", receiver.address)
    deliver(memory, settings, [INCIDENT], NOW + timedelta(hours=1))
    assert memory.query("delivery/undelivered")["incident_id"].to_pylist() == ["b2"]
