"""Spans and metrics of runs and stages are sent by OpenTelemetry, and no run waits for the collector."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from data import day
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from driftlake.lake.warehouse import PartitionRun
from driftlake.nightly import otel
from driftlake.nightly.otel import Observer, observed_run, observed_stage, outcome_of
from driftlake.nightly.stage_report import StageReport

REPORT = StageReport(
    "profiles",
    [
        PartitionRun(day(1), "profiles", "complete", 300),
        PartitionRun(day(2), "profiles", "partial", 200, "a file is broken"),
        PartitionRun(day(3), "profiles", "complete", 100),
    ],
    unchanged={day(3)},
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "METRICS_ENDPOINT", "TIMEOUT"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    otel.observer.cache_clear()
    yield
    otel.observer.cache_clear()


def run_stages() -> None:
    with observed_run("run-1", "nightly"):
        with observed_stage("profiles", [day(1), day(2), day(3)]) as observed:
            observed.update(outcome_of(REPORT))
        with pytest.raises(RuntimeError), observed_stage("drift", [day(1)]):
            raise RuntimeError("no memory left")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    observer = Observer(tracers, MeterProvider([metrics], shutdown_on_exit=False), 2.0)
    monkeypatch.setattr(otel, "observer", lambda: observer)
    monkeypatch.setattr(otel.observer, "cache_clear", lambda: None, raising=False)
    return spans, metrics


def test_a_run_is_a_span_with_a_span_for_each_stage(memory: tuple[InMemorySpanExporter, InMemoryMetricReader]) -> None:
    run_stages()
    by_name = {span.name: span for span in memory[0].get_finished_spans()}
    run, profiles, drift = (by_name[f"driftlake.{name}"] for name in ("run", "profiles", "drift"))
    assert {span.parent and span.parent.span_id for span in (profiles, drift)} == {run.context.span_id}
    assert dict(run.attributes or {}) == {
        "driftlake.run_id": "run-1",
        "driftlake.job": "nightly",
        "driftlake.outcome": "failed",
    }
    assert dict(profiles.attributes or {}) == {
        "driftlake.days": 3,
        "driftlake.first_day": str(day(1)),
        "driftlake.last_day": str(day(3)),
        "driftlake.rows": 500,
        "driftlake.unchanged_days": 1,
        "driftlake.refused_days": 1,
        "driftlake.outcome": "partial",
    }
    assert (drift.status.status_code.name, [event.name for event in drift.events]) == ("ERROR", ["exception"])


def test_seconds_and_rows_of_stages_are_metrics(memory: tuple[InMemorySpanExporter, InMemoryMetricReader]) -> None:
    run_stages()
    data = memory[1].get_metrics_data()
    assert data is not None
    found: dict[str, Any] = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    rows = {
        point.attributes["driftlake.stage"]: point.value for point in found["driftlake.stage.rows"].data.data_points
    }
    seconds = found["driftlake.stage.duration"]
    assert rows == {"profiles": 500, "drift": 0}
    assert seconds.unit == "s"
    assert {point.attributes["driftlake.outcome"]: point.count for point in seconds.data.data_points} == {
        "partial": 1,
        "failed": 1,
    }


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """An OTLP endpoint on this machine, and what was sent to it by path."""
    received: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield received
    server.shutdown()
    server.server_close()


def test_the_usual_variables_send_it_over_http(collector: dict[str, bytes]) -> None:
    run_stages()
    assert collector.keys() == {"/v1/traces", "/v1/metrics"}
    traces = ExportTraceServiceRequest.FromString(collector["/v1/traces"]).resource_spans[0]
    metrics = ExportMetricsServiceRequest.FromString(collector["/v1/metrics"]).resource_metrics[0]
    names = {span.name for span in traces.scope_spans[0].spans}
    assert names == {"driftlake.run", "driftlake.profiles", "driftlake.drift"}
    assert {metric.name for metric in metrics.scope_metrics[0].metrics} >= {"driftlake.stage.rows"}
    service = {each.key: each.value.string_value for each in traces.resource.attributes}["service.name"]
    assert service == "driftlake"


def test_an_endpoint_for_traces_alone_sends_only_traces(
    collector: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    run_stages()
    assert collector.keys() == {"/v1/traces"}


@pytest.mark.parametrize("is_listening", [True, False])
def test_a_collector_that_is_away_or_silent_delays_a_process_once(
    is_listening: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if is_listening:
            silent.listen()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
        started = time.perf_counter()
        for _ in range(20):
            run_stages()
        assert time.perf_counter() - started < 10


def test_a_variable_that_cannot_be_used_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    run_stages()
    assert "an OTEL_* variable cannot be used" in caplog.text


def test_nothing_is_imported_without_an_endpoint() -> None:
    code = (
        "import sys; from datetime import date; from driftlake.nightly.otel import observed_run, observed_stage\n"
        "with observed_run('r', 'j'), observed_stage('drift', [date(2026, 1, 1)]): pass\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
