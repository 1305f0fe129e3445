"""What a sample of OTLP files has: kinds of spans and events with the names of their attributes, and the kind that looks most like a prediction.

Not here: the mapping that is proposed for it (`otlp_proposal`).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from driftlake.connect.otlp_files import read_file
from driftlake.connect.otlp_lines import BODY, Event, Faults, Span, Value
from driftlake.connect.otlp_mapping import EVALUATION, EVALUATION_NAME
from driftlake.errors import InputError

# Enough to see every kind of span.
_SAMPLE_ENTRIES = 100_000
# Canonical columns, and what their attributes are usually called, the most telling name first.
USUAL_NAMES = {
    "model_id": (r"(^|\.)model[._](id|name)$", r"^gen_ai\.request\.model$", r"^service\.name$"),
    "model_version": (r"(^|\.)model[._]version$", r"^service\.version$"),
    "score": (r"(^|[._])(score|probability|prediction|prediction[._]value)$",),
    "predicted_class": (r"(^|[._])(predicted|prediction)[._](class|label)$",),
    "deployment": (r"^deployment\.environment(\.name)?$",),
    "node_id": (r"^(host\.name|k8s\.pod\.name|service\.instance\.id)$",),
}
# Namespaces of the semantic conventions: what is in them is no feature.
_CONVENTIONS = re.compile(
    r"(cloud|code|container|client|db|deployment|enduser|error|event|exception|gen_ai|host|http|k8s|log|messaging|net|network|os|otel|peer|"
    r"process|rpc|server|service|session|telemetry|thread|url|user|user_agent)\."
)


@dataclass(slots=True)
class Kind:
    """Spans of one name and service, or events of one name, service and text."""

    is_event: bool
    name: str | None
    service: str | None
    # many loggers give a log record a fixed text instead of a name
    text: str | None = None
    count: int = 0
    root_count: int = 0
    untraced_count: int = 0
    attributes: set[str] = field(default_factory=set)

    @property
    def own_attributes(self) -> list[str]:
        """The attributes that no convention defines, in order."""
        return sorted(name for name in self.attributes if name != BODY and not _CONVENTIONS.match(name))

    @property
    def likeness(self) -> tuple[int, int]:
        """How much it looks like a prediction: by the canonical columns it would have, then by its attributes."""
        own = self.own_attributes
        return sum(matching(patterns, own) is not None for patterns in USUAL_NAMES.values()), len(own)


@dataclass(slots=True)
class Sample:
    """Kinds of spans and events, the attributes that are numbers, and the values of gen_ai.evaluation.name."""

    kinds: dict[tuple[bool, str | None, str | None, str | None], Kind] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)
    evaluations: Counter[Value] = field(default_factory=Counter)

    def add(self, entry: Span | Event) -> None:
        """Count a span or an event."""
        attributes = entry.attributes
        names = _without_maps(entry) if isinstance(entry, Event) else set(attributes)
        if entry.is_event and entry.name == EVALUATION:
            self.evaluations[attributes.get(EVALUATION_NAME, "")] += 1
        text = str(attributes[BODY]) if entry.is_event and not entry.name and BODY in names else None
        key = entry.is_event, entry.name, entry.service, text
        kind = self.kinds.setdefault(key, Kind(*key))
        kind.count += 1
        kind.root_count += entry.parent_id is None
        kind.untraced_count += entry.trace_id is None
        kind.attributes |= names
        self.numbers |= {name for name in names if isinstance(attributes[name], float)}

    @property
    def spans(self) -> list[Kind]:
        """The kinds of spans."""
        return [kind for kind in self.kinds.values() if not kind.is_event]

    @property
    def events(self) -> list[Kind]:
        """The events of each name and service, whatever their texts."""
        merged: dict[tuple[str | None, str | None], Kind] = {}
        for kind in self.kinds.values():
            if kind.is_event:
                same = merged.setdefault((kind.name, kind.service), Kind(True, kind.name, kind.service))
                same.count += kind.count
                same.attributes |= kind.attributes
        return list(merged.values())

    def prediction(self) -> Kind | None:
        """The kind that looks most like a prediction: a span, unless only events have attributes of one."""
        span = max(self.spans, key=lambda kind: kind.likeness, default=None)
        events = [kind for kind in self.kinds.values() if kind.is_event and kind.name != EVALUATION]
        event = max(events, key=lambda kind: (kind.likeness, kind.count), default=None)
        if event and event.likeness[0] and not (span and span.likeness[0]):
            return event
        return span


def read_sample(paths: Sequence[Path]) -> Sample:
    """The first spans and events of files. Raises InputError if one of them cannot be read."""
    sample, count = Sample(), 0
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


def matching(patterns: Iterable[str], names: Iterable[str]) -> str | None:
    """The name that the first pattern with any match finds."""
    found = (name for pattern in patterns for name in sorted(names) if re.search(pattern, name))
    return next(found, None)


def _without_maps(event: Event) -> set[str]:
    """The attributes of an event without maps whose values have names of their own."""
    above = {name.rpartition(".")[0] for name in event.attributes}
    return {name for name, value in event.attributes.items() if name not in above or not str(value).startswith("{")}
