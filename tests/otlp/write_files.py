"""Writes the OTLP JSON lines beside it with the OpenTelemetry SDK: a gateway and a scorer that share traces, outcomes, and log records that are predictions.

The records of the scorer (scored.jsonl) belong to its traces and have a text instead of a name; those of the batch (batch.jsonl) have no trace and a map as body.

Written by Python 3.11 and opentelemetry-sdk 1.45.2 with opentelemetry-exporter-otlp-json-file 0.66b1, in an environment
of its own: `python write_files.py`. The protobuf files have the same spans and logs, encoded by opentelemetry-exporter-otlp-proto-common 1.45.2, with the
lengths before the batches that the collector's file exporter writes. Times and ids are given, so that the files are the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult, SpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator

FOLDER = Path(__file__).parent
MS = 1_000_000
NOON = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000 * MS

# x, colour, score and outcome of each prediction; a prediction without a score fails.
CASES = ((0.25, "red", 0.75, 1.0), (-1.5, "blue", 0.125, 0.0), (2.0, "red", 1, 1.0), (0.5, "blue", None, None))


# x, colour, score and outcome of each prediction of the batch.
BATCH = ((1.5, "red", 0.875, 1.0), (-0.5, "blue", 0, 0.0), (0.0, "red", None, None))


class Framed:
    """Writes batches of spans or logs as protobuf."""

    def __init__(self, path: Path, encode: Callable[[Any], Any], result: Any) -> None:
        self.path, self.encode, self.result = path, encode, result

    def export(self, batch: Any) -> Any:
        raw = self.encode(batch).SerializeToString()
        with self.path.open("ab") as file:
            file.write(len(raw).to_bytes(4, "big") + raw)
        return self.result

    def shutdown(self) -> None:
        pass


class Ids(IdGenerator):
    """The same ids on each run."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def generate_span_id(self) -> int:
        return self.random.getrandbits(64)

    def generate_trace_id(self) -> int:
        return self.random.getrandbits(128)


def provider(service: str, processors: Sequence[SpanProcessor], seed: int) -> TracerProvider:
    resource = Resource({"service.name": service, "service.version": "v1", "deployment.environment.name": "production"})
    made = TracerProvider(resource=resource, id_generator=Ids(seed), shutdown_on_exit=False)
    for processor in processors:
        made.add_span_processor(processor)
    return made


def fresh(name: str) -> Path:
    path = FOLDER / name
    path.unlink(missing_ok=True)
    return path


def logs_of(name: str, *, service: str, version: str | None = None) -> LoggerProvider:
    """Writes log records of a service, as JSON lines and as protobuf."""
    resource = {"service.name": service} | ({"service.version": version} if version else {})
    made = LoggerProvider(Resource(resource), shutdown_on_exit=False)
    made.add_log_record_processor(BatchLogRecordProcessor(FileLogExporter(fresh(f"{name}.jsonl"))))
    framed = Framed(fresh(f"{name}.binpb"), encode_logs, LogRecordExportResult.SUCCESS)
    made.add_log_record_processor(BatchLogRecordProcessor(framed))
    return made


def write_batch(
    logger: Logger, start: int, number: int, x: float, colour: str, value: float | None, outcome: float | None
) -> None:
    """A record of a prediction, one of something else, and the outcome a day later."""
    result = {"error.type": "TimeoutError"} if value is None else {"prediction": value}
    logger.emit(
        timestamp=start,
        observed_timestamp=start,
        severity_number=SeverityNumber.ERROR if value is None else SeverityNumber.INFO,
        event_name="credit.scored",
        body={"model": {"id": "credit"}, "features": {"x": x, "colour": colour}},
        attributes={"request.id": f"r-{number}", "latency_ms": 5 + number} | result,
    )
    logger.emit(timestamp=start, observed_timestamp=start, body="batch goes on")
    if outcome is not None:
        logger.emit(
            timestamp=start + 86_400_000 * MS,
            observed_timestamp=start + 86_400_000 * MS,
            event_name="gen_ai.evaluation.result",
            attributes={
                "gen_ai.evaluation.name": "repaid",
                "gen_ai.evaluation.score.value": outcome,
                "request.id": f"r-{number}",
            },
        )


def spans(name: str) -> Framed:
    return Framed(fresh(name), encode_spans, SpanExportResult.SUCCESS)


def score(tracer: Tracer, start: int, x: float, colour: str, value: float | None) -> None:
    """The spans of the scorer: 4 ms to look features up, 1 ms to prepare them, 10 ms of inference."""
    for name, after, length in (("feature_lookup", 2, 4), ("preprocessing", 6, 1)):
        tracer.start_span(name, start_time=start + after * MS).end(start + (after + length) * MS)
    span = tracer.start_span("inference", start_time=start + 7 * MS)
    span.set_attributes({"ml.model.id": "credit", "ml.feature.x": x, "ml.feature.colour": colour})
    if value is None:
        span.set_attribute("error.type", "TimeoutError")
        span.set_status(trace.StatusCode.ERROR, "the model did not answer")
    else:
        span.set_attribute("ml.score", value)
    span.end(start + 17 * MS)


def main() -> None:
    gateway = provider(
        "gateway",
        [SimpleSpanProcessor(FileSpanExporter(fresh("gateway.jsonl"))), SimpleSpanProcessor(spans("gateway.binpb"))],
        1,
    )
    scorer = provider(
        "scorer",
        [BatchSpanProcessor(FileSpanExporter(fresh("scorer.jsonl"))), BatchSpanProcessor(spans("scorer.binpb"))],
        2,
    )
    logs, scored, batch = (
        logs_of("outcomes", service="outcomes"),
        logs_of("scored", service="scorer", version="v1"),
        logs_of("batch", service="batch", version="v1"),
    )
    for number, case in enumerate(BATCH):
        write_batch(batch.get_logger("batch"), NOON + number * MS, number, *case)
    for place, (x, colour, value, outcome) in enumerate(CASES):
        start = NOON + place * 60_000 * MS
        root = gateway.get_tracer("gateway").start_span("POST /score", start_time=start, kind=trace.SpanKind.SERVER)
        with trace.use_span(root):
            score(scorer.get_tracer("scorer"), start, x, colour, value)
            scored.get_logger("scorer").emit(
                timestamp=start + 17 * MS,
                observed_timestamp=start + 17 * MS,
                severity_number=SeverityNumber.ERROR if value is None else SeverityNumber.INFO,
                body="scored",
                attributes={"model_id": "credit", "features": {"x": x, "colour": colour}}
                | ({} if value is None else {"score": value}),
            )
            if outcome is not None:
                logs.get_logger("outcomes").emit(
                    timestamp=start + 86_400_000 * MS,
                    observed_timestamp=start + 86_400_000 * MS,
                    event_name="gen_ai.evaluation.result",
                    attributes={"gen_ai.evaluation.name": "repaid", "gen_ai.evaluation.score.value": outcome},
                )
        root.end(start + (20 + place) * MS)
    for each in (gateway, scorer, logs, scored, batch):
        each.shutdown()


if __name__ == "__main__":
    main()
