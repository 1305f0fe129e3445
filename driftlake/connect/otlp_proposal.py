"""Proposes a mapping from a sample of OTLP files, for a person to complete. Values are never shown, only names.

Not here: what a mapping means (`otlp_mapping`).
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from driftlake.connect.mapping_files import REQUIRED, UNKNOWN
from driftlake.connect.otlp_files import read_file
from driftlake.connect.otlp_lines import Event, Faults, Span, Value
from driftlake.connect.otlp_mapping import EVALUATION, EVALUATION_NAME, EVALUATION_VALUE, ROOT
from driftlake.errors import InputError
from driftlake.vocabulary.wording import counted, printable

# Enough to see every kind of span.
_SAMPLE_ENTRIES = 100_000
# Canonical columns, and what their attributes are usually called, the most telling name first.
_USUAL_NAMES = {
    "model_id": (r"(^|\.)model[._](id|name)$", r"^gen_ai\.request\.model$", r"^service\.name$"),
    "model_version": (r"(^|\.)model[._]version$", r"^service\.version$"),
    "score": (r"(^|[._])(score|probability|prediction|prediction[._]value)$",),
    "predicted_class": (r"(^|[._])(predicted|prediction)[._](class|label)$",),
    "deployment": (r"^deployment\.environment(\.name)?$",),
    "node_id": (r"^(host\.name|k8s\.pod\.name|service\.instance\.id)$",),
}
# Namespaces of the semantic conventions: what is in them is no feature.
_CONVENTIONS = re.compile(
    r"(cloud|code|container|client|db|deployment|enduser|error|event|exception|gen_ai|host|http|k8s|messaging|net|network|os|otel|peer|"
    r"process|rpc|server|service|session|telemetry|thread|url|user|user_agent)\."
)
_FEATURE = re.compile(r"(^|[._])features?[._]")
_CONTENTS = """\
# A proposal from {files}: compare it with your service, complete it and remove what is not wanted.
# What was found:
{found}
"""


@dataclass(slots=True)
class _Kind:
    """Spans of one name and service."""

    count: int = 0
    root_count: int = 0
    attributes: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Sample:
    kinds: dict[tuple[str, str | None], _Kind] = field(default_factory=lambda: defaultdict(_Kind))
    numbers: set[str] = field(default_factory=set)
    events: Counter[str] = field(default_factory=Counter)
    evaluations: Counter[Value] = field(default_factory=Counter)

    def add(self, entry: Span | Event) -> None:
        if isinstance(entry, Event):
            self.events[entry.name or "log records without a name"] += 1
            if entry.name == EVALUATION:
                self.evaluations[entry.attributes.get(EVALUATION_NAME, "")] += 1
            return
        kind = self.kinds[entry.name, entry.service]
        kind.count += 1
        kind.root_count += entry.parent_id is None
        kind.attributes |= entry.attributes.keys()
        self.numbers |= {name for name, value in entry.attributes.items() if isinstance(value, float)}


def propose(paths: Sequence[Path]) -> str:
    """YAML of a mapping for files like these. Raises InputError if they have no spans."""
    sample = _sampled(paths)
    if not sample.kinds:
        raise InputError(f"no spans in {', '.join(map(str, paths))}", hint="give files that the file exporter wrote")
    name, service = max(sample.kinds, key=lambda each: _likeness(sample.kinds[each]))
    mapping: dict[str, Any] = {"prediction": {"span": name} | ({"service": service} if service else {})}
    mapping["latency"] = ROOT
    mapping["columns"] = _columns(sample, sample.kinds[name, service].attributes)
    if stages := _stages(sample, name):
        mapping["stages"] = stages
    if sample.events[EVALUATION]:
        name_of_first = min(map(str, sample.evaluations))
        where = {"where": {EVALUATION_NAME: name_of_first}} if name_of_first else {}
        mapping["labels"] = {"event": EVALUATION, **where, "value": EVALUATION_VALUE}
    found = "".join(f"# - {printable(line)}\n" for line in _lines(sample)).rstrip("\n")
    head = _CONTENTS.format(files=counted(len(paths), "file"), found=found)
    return head + yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)


def _sampled(paths: Iterable[Path]) -> _Sample:
    sample, count = _Sample(), 0
    for path in paths:
        try:
            for entry in read_file(path, Faults(path), time.time_ns()):
                sample.add(entry)
                count += 1
                if count >= _SAMPLE_ENTRIES:
                    return sample
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return sample


def _likeness(kind: _Kind) -> tuple[int, int]:
    """How much a kind of span looks like a prediction: by the canonical columns it would have, then by its attributes."""
    own = [name for name in kind.attributes if not _CONVENTIONS.match(name)]
    known = sum(_matching(patterns, own) is not None for patterns in _USUAL_NAMES.values())
    return known, len(own)


def _matching(patterns: Iterable[str], names: Iterable[str]) -> str | None:
    """The name that the first pattern with any match finds."""
    found = (name for pattern in patterns for name in sorted(names) if re.search(pattern, name))
    return next(found, None)


def _columns(sample: _Sample, of_prediction: set[str]) -> Mapping[str, str]:
    everywhere = {name for kind in sample.kinds.values() for name in kind.attributes}
    columns = {}
    for column, patterns in _USUAL_NAMES.items():
        found = _matching(patterns, sample.numbers if column == "score" else everywhere)
        if found or column in REQUIRED:
            columns[column] = found or UNKNOWN
    features = sorted(
        name
        for name in everywhere
        if name not in columns.values()
        and (_FEATURE.search(name) or (name in of_prediction and not _CONVENTIONS.match(name)))
    )
    short = Counter(_last(name) for name in features)
    for name in features:
        column = _last(name) if short[_last(name)] == 1 and _last(name) not in columns else _as_column(name)
        columns[column] = name
    return columns


def _stages(sample: _Sample, prediction: str) -> Mapping[str, str]:
    """The spans below the root that have a duration worth measuring; the prediction is one of them."""
    children = sorted({name for (name, _), kind in sample.kinds.items() if not kind.root_count})
    return {f"{_as_column(name)}_ms": name for name in children} if prediction in children else {}


def _lines(sample: _Sample) -> Iterable[str]:
    for (name, service), kind in sorted(sample.kinds.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        root = ", a root" if kind.root_count else ""
        own = sorted(each for each in kind.attributes if not _CONVENTIONS.match(each))
        listed = f": {', '.join(own)}" if own else ""
        yield f"{counted(kind.count, 'span')} {name!r} of service {service}{root}{listed}"
    for event, count in sorted(sample.events.items()):
        yield f"{counted(count, 'event')} {event!r}"
    if len(sample.evaluations) > 1:
        yield f"{EVALUATION_NAME} is one of {', '.join(sorted(map(repr, map(str, sample.evaluations))))}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _as_column(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower()
