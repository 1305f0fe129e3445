"""OTLP protobuf to the content that the same batch has as OTLP JSON: what the collector's file exporter writes with `format: proto`, or one request of an exporter.

Not here: what the content says (`otlp_lines`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from driftlake.connect.otlp_lines import Faults
from driftlake.inputs.importable_files import BATCH_TAG, LENGTH_BYTES

if TYPE_CHECKING:
    from google.protobuf.message import Message

# A batch has some megabytes.
LONGEST_MESSAGE_BYTES = 64 * 1024 * 1024
_ID_BYTES = 16
_IDS = ("traceId", "spanId", "parentSpanId")
_NEEDED = "the file is protobuf, which needs `pip install 'driftlake[otlp]'`"
_INTERRUPTED = "a message is incomplete; its writer may have been interrupted"


def is_protobuf(head: bytes) -> bool:
    """Whether a file begins like protobuf: with the length of a batch, or with a batch, whose first byte is also a line break."""
    is_json = head.lstrip().startswith((b'{"', b'{ "'))
    return head[:1] == b"\0" or (head[:1] == bytes([BATCH_TAG]) and not is_json)


def messages(file: BinaryIO, faults: Faults) -> Iterator[tuple[int, Any]]:
    """The batches of a file as OTLP JSON has them; a batch that cannot be used is noted and the next one is read."""
    faults.unit = "message"
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
        from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
    except ImportError:
        faults.note(_NEEDED, 1)
        return

    def parsed(kind: Callable[[], Message], raw: bytes, is_kind: Callable[[Any], bool]) -> Any:
        try:
            batch = kind()
            batch.ParseFromString(raw)
        except DecodeError:
            return None
        return MessageToDict(batch, use_integers_for_enums=True) if is_kind(batch) else None

    for number, raw in _batches(file, faults):
        # the first field of a batch is the same in all signals, so only its content tells them apart
        content = parsed(TracesData, raw, _has_spans) or parsed(LogsData, raw, _has_records)
        if content is None:
            faults.note("a message has neither spans nor logs of OTLP", number)
            continue
        _write_ids(content)
        yield number, content


def _batches(file: BinaryIO, faults: Faults) -> Iterator[tuple[int, bytes]]:
    prefix = file.read(LENGTH_BYTES)
    # no batch is so long that its length begins with this byte
    if prefix[:1] == bytes([BATCH_TAG]):
        raw = prefix + file.read(LONGEST_MESSAGE_BYTES)
        if len(raw) > LONGEST_MESSAGE_BYTES:
            faults.note(f"a message is longer than {LONGEST_MESSAGE_BYTES:,} bytes", 1)
        else:
            yield 1, raw
        return
    number = 0
    while prefix:
        number += 1
        length = int.from_bytes(prefix, "big")
        if length > LONGEST_MESSAGE_BYTES:
            faults.note(
                f"a message is longer than {LONGEST_MESSAGE_BYTES:,} bytes, so nothing after it can be read", number
            )
            return
        raw = file.read(length)
        if len(prefix) < LENGTH_BYTES or len(raw) < length:
            faults.note(_INTERRUPTED, number)
            return
        if raw:
            yield number, raw
        prefix = file.read(LENGTH_BYTES)


def _has_spans(batch: Any) -> bool:
    spans = [span for group in batch.resource_spans for scope in group.scope_spans for span in scope.spans]
    return bool(spans) and any(len(span.trace_id) == _ID_BYTES for span in spans)


def _has_records(batch: Any) -> bool:
    records = [record for group in batch.resource_logs for scope in group.scope_logs for record in scope.log_records]
    return any(record.time_unix_nano or record.observed_time_unix_nano for record in records)


def _write_ids(content: Any) -> None:
    """Ids are hexadecimal in OTLP JSON, other bytes are base64 as usual."""
    for groups, scopes, items in (
        ("resourceSpans", "scopeSpans", "spans"),
        ("resourceLogs", "scopeLogs", "logRecords"),
    ):
        for group in content.get(groups, ()):
            for scope in group.get(scopes, ()):
                for item in scope.get(items, ()):
                    item |= {name: base64.b64decode(item[name]).hex() for name in _IDS if name in item}
