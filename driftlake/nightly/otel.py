"""Sends spans and metrics of runs and stages by OpenTelemetry if the usual OTEL_* variables are set.

Without an endpoint in the environment, nothing is imported and nothing happens. A collector that is unreachable or
slow never fails a run; the process waits for it once, for the time limit of an export. Not here: metrics about
results (`driftlake.delivery.prometheus`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from driftlake import __version__
from driftlake.nightly.stage_report import StageReport

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

Attributes = dict[str, str | int]

# Outcomes of days, stages and runs from best to worst.
_OUTCOMES = ("unchanged", "complete", "empty", "missing", "partial", "refused", "failed")
_BADNESS = {outcome: rank for rank, outcome in enumerate(_OUTCOMES)}
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_ENDPOINT_OF = {"traces": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "metrics": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}
_EXPORTER_OF = {"traces": "OTEL_TRACES_EXPORTER", "metrics": "OTEL_METRICS_EXPORTER"}
_TIMEOUT = "OTEL_EXPORTER_OTLP_TIMEOUT"
# Shorter than the ten seconds of the specification, so that a run hardly waits for its collector.
_SECONDS_TO_EXPORT = 2.0
_INSTRUMENTATION = "driftlake"

_log = logging.getLogger(__name__)


class Observer:
    """Records runs and stages. A provider that is None records nothing of its kind."""

    def __init__(
        self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None, seconds: float
    ) -> None:
        from opentelemetry.metrics import NoOpMeterProvider
        from opentelemetry.trace import NoOpTracerProvider

        self._providers = [provider for provider in (tracer_provider, meter_provider) if provider]
        self._tracer = (tracer_provider or NoOpTracerProvider()).get_tracer(_INSTRUMENTATION, __version__)
        meter = (meter_provider or NoOpMeterProvider()).get_meter(_INSTRUMENTATION, __version__)
        self._seconds = meter.create_histogram("driftlake.stage.duration", "s", "Time of a stage of a run.")
        self._rows = meter.create_counter("driftlake.stage.rows", "{row}", "Rows of the days that a stage processed.")
        self._patience = seconds
        self._run: Span | None = None
        self._worst = _OUTCOMES[0]

    @contextmanager
    def run(self, attributes: Attributes) -> Iterator[None]:
        """A span around the block; everything recorded is sent at its end."""
        self._worst, self._run = _OUTCOMES[0], self._tracer.start_span("driftlake.run", attributes=attributes)
        try:
            yield
        finally:
            self._run.set_attribute("driftlake.outcome", self._worst)
            self._run.end()
            self._run = None
            self._send()

    @contextmanager
    def stage(self, name: str, attributes: Attributes) -> Iterator[Attributes]:
        """A span around a stage, and its metrics; the block may add attributes."""
        from opentelemetry.trace import set_span_in_context

        parent = set_span_in_context(self._run) if self._run else None
        started = time.perf_counter()
        outcome = _OUTCOMES[-1]
        with self._tracer.start_as_current_span(f"driftlake.{name}", parent, attributes=attributes) as span:
            try:
                yield attributes
                outcome = str(attributes.get("driftlake.outcome", "complete"))
            finally:
                span.set_attributes(attributes | {"driftlake.outcome": outcome})
                self._worst = max(self._worst, outcome, key=_BADNESS.__getitem__)
                labels = {"driftlake.stage": name, "driftlake.outcome": outcome}
                self._seconds.record(time.perf_counter() - started, labels)
                self._rows.add(int(attributes.get("driftlake.rows", 0)), labels)

    def _send(self) -> None:
        """Send what was recorded, in a thread, because an exporter may exceed its time limit."""
        sender = threading.Thread(target=self._flush, daemon=True)
        sender.start()
        sender.join(self._patience)
        if sender.is_alive():
            _log.warning("the OpenTelemetry collector does not answer; the run continues without it")
            self._patience = 0.0

    def _flush(self) -> None:
        for provider in self._providers:
            provider.force_flush()


@contextmanager
def observed_run(run_id: str, job: str) -> Iterator[None]:
    """Record a run, if OpenTelemetry is configured."""
    if recorder := observer():
        with recorder.run({"driftlake.run_id": run_id, "driftlake.job": job}):
            yield
    else:
        yield


@contextmanager
def observed_stage(name: str, days: Sequence[date]) -> Iterator[Attributes]:
    """Record a stage, if OpenTelemetry is configured; the block adds its results."""
    attributes: Attributes = {
        "driftlake.days": len(days),
        "driftlake.first_day": min(days).isoformat(),
        "driftlake.last_day": max(days).isoformat(),
    }
    if recorder := observer():
        with recorder.stage(name, attributes):
            yield attributes
    else:
        yield attributes


def outcome_of(report: StageReport) -> Attributes:
    """Attributes of a stage that has ended: rows of the processed days, and the worst outcome of a day."""
    worked_on = [run for run in report.runs if run.dt not in report.unchanged]
    outcomes = [run.outcome for run in worked_on] + [run.outcome for run in report.refused]
    return {
        "driftlake.rows": sum(run.row_count for run in worked_on),
        "driftlake.unchanged_days": len(report.unchanged),
        "driftlake.refused_days": len(report.refused),
        "driftlake.outcome": max(outcomes, key=_BADNESS.__getitem__, default=_OUTCOMES[0]),
    }


@cache
def observer() -> Observer | None:
    """The observer configured in the environment, created once; None if there is none."""
    wanted = {kind for kind in _ENDPOINT_OF if _is_wanted(kind)}
    if not wanted:
        return None
    try:
        return _built(wanted)
    except ImportError:
        _log.warning(
            "OTEL_* variables name a collector, but OpenTelemetry is not installed: pip install 'driftlake[otel]'"
        )
    except ValueError as error:
        _log.warning("OpenTelemetry is off, because an OTEL_* variable cannot be used: %s", error)
    return None


def _is_wanted(kind: str) -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get(_EXPORTER_OF[kind]) == "none":
        return False
    return bool(os.environ.get(_ENDPOINT) or os.environ.get(_ENDPOINT_OF[kind]))


def _built(wanted: set[str]) -> Observer:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    seconds = float(os.environ.get(_TIMEOUT) or _SECONDS_TO_EXPORT)
    is_named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if is_named else {"service.name": _INSTRUMENTATION})
    tracers = meters = None
    # Nothing is sent when the process ends, because every run has already sent its data.
    if "traces" in wanted:
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=seconds)))
    if "metrics" in wanted:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=seconds))
        meters = MeterProvider([reader], resource, shutdown_on_exit=False)
    # traces and metrics, one after the other
    return Observer(tracers, meters, len(wanted) * seconds)
