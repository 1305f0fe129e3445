"""Files of OTLP, JSON lines or protobuf, to spans and events.

Not here: what a line or a message says (`otlp_lines`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from driftlake.connect import otlp_protobuf
from driftlake.connect.otlp_lines import Event, Faults, Reader, Span

# The collector's batches have some megabytes; a longer line is not one of them, and would have to fit into memory.
LONGEST_LINE_BYTES = 64 * 1024 * 1024
# gzip, zstd; the collector writes the length of a batch before it if it compresses
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


def read_file(path: Path, faults: Faults, now_ns: int) -> Iterator[Span | Event]:
    """The spans and events of a file in their order; `faults` collects what cannot be used."""
    with path.open("rb") as file:
        head = file.peek(64)
        if head.startswith(_COMPRESSED) or head[4:].startswith(_COMPRESSED):
            faults.note("the file is compressed, which is not read", 1)
            return
        contents = otlp_protobuf.messages if otlp_protobuf.is_protobuf(head) else _lines
        for number, content in contents(file, faults):
            yield from Reader(faults, number, now_ns).entries(content)


def _lines(file: BinaryIO, faults: Faults) -> Iterator[tuple[int, Any]]:
    for number, line in _numbered(file, faults):
        try:
            content = json.loads(line)
            if b"\\ud" in line.lower():
                # an unpaired surrogate cannot be stored as text
                json.dumps(content, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            faults.note("a line is not JSON; its writer may have been interrupted", number)
            continue
        yield number, content


def _numbered(file: BinaryIO, faults: Faults) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(LONGEST_LINE_BYTES):
        number += 1
        if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
            faults.note(f"a line is longer than {LONGEST_LINE_BYTES:,} bytes", number)
            while (rest := file.readline(LONGEST_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        elif line.strip():
            yield number, line
