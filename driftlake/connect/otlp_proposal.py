"""Proposes a mapping from a sample of OTLP files, for a person to complete. Names are shown, and texts that stand for a name, but no other values.

Not here: reading the sample (`otlp_sample`), and what a mapping means (`otlp_mapping`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from driftlake.connect.mapping_files import REQUIRED, UNKNOWN
from driftlake.connect.otlp_lines import BODY
from driftlake.connect.otlp_mapping import EVALUATION, EVALUATION_NAME, EVALUATION_VALUE, ROOT
from driftlake.connect.otlp_sample import USUAL_NAMES, Kind, Sample, matching, read_sample
from driftlake.errors import InputError
from driftlake.vocabulary.wording import counted, printable

# What spans have by themselves is an attribute of events.
_USUAL_IDS = (r"(^|[._])(prediction|inference|correlation)[._]id$", r"(^|[._])request[._]id$")
_USUAL_LATENCIES = (r"(^|[._])(latency|duration)[._]ms$",)
_FEATURE = re.compile(r"(^|[._])features?[._]")
_CONTENTS = """\
# A proposal from {files}: compare it with your service, complete it and remove what is not wanted.
# What was found:
{found}
"""


def propose(paths: Sequence[Path]) -> str:
    """YAML of a mapping for files like these. Raises InputError if nothing in them looks like a prediction."""
    sample = read_sample(paths)
    prediction = sample.prediction()
    if prediction is None:
        raise InputError(
            f"no spans, and no log records that look like predictions, in {', '.join(map(str, paths))}",
            hint="give files that the file exporter wrote, also those with the predictions",
        )
    mapping: dict[str, Any] = {"prediction": _chosen(prediction)}
    if sample.spans:
        mapping["latency"] = ROOT
    mapping["columns"] = _columns(sample, prediction)
    if stages := _stages(sample, prediction):
        mapping["stages"] = stages
    if sample.evaluations:
        mapping["labels"] = _labels(sample, mapping["columns"].get("correlation_id"))
    found = "".join(f"# - {printable(line)}\n" for line in _lines(sample)).rstrip("\n")
    head = _CONTENTS.format(files=counted(len(paths), "file"), found=found)
    return head + yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)


def _chosen(prediction: Kind) -> dict[str, Any]:
    """The section prediction."""
    if not prediction.is_event:
        chosen: dict[str, Any] = {"span": prediction.name}
    elif prediction.name:
        chosen = {"event": prediction.name}
    elif prediction.text is None:
        chosen = {"where": {UNKNOWN: UNKNOWN}}
    else:
        # a text that occurs once may be about a person
        chosen = {"where": {BODY: prediction.text if prediction.count > 1 else UNKNOWN}}
    return chosen | ({"service": prediction.service} if prediction.service else {})


def _columns(sample: Sample, prediction: Kind) -> Mapping[str, str]:
    everywhere = prediction.attributes.union(*(kind.attributes for kind in sample.spans))
    columns = _columns_of_event(prediction) if prediction.is_event else {}
    for column, patterns in USUAL_NAMES.items():
        found = matching(patterns, sample.numbers & everywhere if column == "score" else everywhere)
        if found or column in REQUIRED:
            columns[column] = found or UNKNOWN
    features = sorted(
        name
        for name in everywhere
        if name not in columns.values() and (_FEATURE.search(name) or name in prediction.own_attributes)
    )
    short = Counter(_last(name) for name in features)
    for name in features:
        column = _last(name) if short[_last(name)] == 1 and _last(name) not in columns else _as_column(name)
        columns[column] = name
    return columns


def _columns_of_event(prediction: Kind) -> dict[str, str]:
    """Columns that come from spans if predictions are spans."""
    columns = {
        "correlation_id": matching(_USUAL_IDS, prediction.attributes)
        or (UNKNOWN if prediction.untraced_count else None),
        "latency_ms": matching(_USUAL_LATENCIES, prediction.attributes),
    }
    return {column: attribute for column, attribute in columns.items() if attribute}


def _stages(sample: Sample, prediction: Kind) -> Mapping[str, str]:
    """The spans below the root that have a duration worth measuring; a prediction that is a span is one of them."""
    children = sorted({str(kind.name) for kind in sample.spans if not kind.root_count})
    is_measured = prediction.is_event or prediction.name in children
    return {f"{_as_column(name)}_ms": name for name in children} if is_measured else {}


def _labels(sample: Sample, correlation_id: str | None) -> Mapping[str, Any]:
    name_of_first = min(map(str, sample.evaluations))
    labels: dict[str, Any] = {"event": EVALUATION}
    if name_of_first:
        labels["where"] = {EVALUATION_NAME: name_of_first}
    labels["value"] = EVALUATION_VALUE
    if correlation_id:
        known = {name for kind in sample.events if kind.name == EVALUATION for name in kind.attributes}
        labels["correlation_id"] = correlation_id if correlation_id in known else UNKNOWN
    return labels


def _lines(sample: Sample) -> Iterable[str]:
    for kind in sorted(sample.spans, key=_order):
        root = ", a root" if kind.root_count else ""
        yield f"{counted(kind.count, 'span')} {kind.name!r} of service {kind.service}{root}{_listed(kind)}"
    for kind in sorted(sample.events, key=_order):
        name = repr(kind.name) if kind.name else "without a name"
        yield f"{counted(kind.count, 'event')} {name} of service {kind.service}{_listed(kind)}"
    if len(sample.evaluations) > 1:
        yield f"{EVALUATION_NAME} is one of {', '.join(sorted(map(repr, map(str, sample.evaluations))))}"


def _order(kind: Kind) -> tuple[str, str]:
    return kind.name or "", kind.service or ""


def _listed(kind: Kind) -> str:
    return f": {', '.join(kind.own_attributes)}" if kind.own_attributes else ""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _as_column(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower()
