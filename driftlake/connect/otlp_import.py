"""Imports files of OTLP: keeps the attributes that the mapping names, and rewrites the days that they belong to.

Not here: what a line says (`otlp_lines`), and the rows of a day (`otlp_days`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from driftlake.config import Settings, compute_of
from driftlake.connect.day_files import Import, locked, spilling_session
from driftlake.connect.kept_entries import EVENT_FIELDS, FOLDER, SPAN_FIELDS, content_hash, keeping
from driftlake.connect.otlp_days import touched_days, write_labels, write_predictions
from driftlake.connect.otlp_files import read_file
from driftlake.connect.otlp_lines import Event, Faults, Span
from driftlake.connect.otlp_mapping import LabelEvents, OtlpMapping
from driftlake.vocabulary.wording import counted


def import_files(
    paths: Sequence[Path],
    mapping: OtlpMapping,
    target: Path,
    labels_target: Path | None,
    settings: Settings | None = None,
    *,
    now_ns: int | None = None,
) -> Import:
    """Import the files. A file that cannot be read is reported, and the others are imported."""
    done = Import()
    labels = mapping.labels if labels_target else None
    with ExitStack() as stack:
        for folder in sorted({target, labels_target or target}):
            stack.enter_context(locked(folder / FOLDER))
        kept = _Kept()
        for path in paths:
            _keep_file(path, mapping, target, labels_target, now_ns or time.time_ns(), kept, done)
        if kept.unwanted_labels:
            done.remarks.append(
                f"{counted(kept.unwanted_labels, 'label')} not written: name a folder with --labels-out"
            )
        connection = stack.enter_context(spilling_session(compute_of(settings)))
        _write_telemetry(connection, target, mapping, kept, done)
        if labels and labels_target:
            done.tell([write_labels(connection, labels_target, labels, day) for day in sorted(kept.label_days)])
    return done


@dataclass(slots=True)
class _Kept:
    """The contents of the files of an import, also of files that were imported before."""

    names: set[str] = field(default_factory=set)
    span_days: set[date] = field(default_factory=set)
    label_days: set[date] = field(default_factory=set)
    unwanted_labels: int = 0


def _keep_file(
    path: Path,
    mapping: OtlpMapping,
    target: Path,
    labels_target: Path | None,
    now_ns: int,
    kept: _Kept,
    done: Import,
) -> None:
    try:
        name = content_hash(path)
    except OSError as error:
        done.problems.append(f"{path}: not imported: {error.strerror or error}")
        return
    faults = Faults(path)
    of_labels = mapping.labels.attributes if mapping.labels else ()
    with (
        keeping(target, name, SPAN_FIELDS, mapping.attributes) as spans,
        keeping(labels_target or target, name, EVENT_FIELDS, of_labels) as events,
    ):
        for entry in read_file(path, faults, now_ns):
            if isinstance(entry, Span):
                spans.keep(entry.start_ns, entry)
            elif mapping.labels and mapping.labels.is_label(entry):
                if labels_target is None:
                    kept.unwanted_labels += 1
                elif reason := _objection(entry, mapping.labels):
                    faults.note(reason, entry.line)
                else:
                    events.keep(entry.time_ns, entry)
    done.problems += faults.sentences()
    kept.names.add(name)
    kept.span_days |= set(spans.days)
    kept.label_days |= set(events.days)


def _objection(event: Event, labels: LabelEvents) -> str | None:
    """Why an event cannot be a label."""
    needed = [name for name in labels.attributes if name not in event.attributes]
    if needed:
        return f"a label has no attribute {needed[0]}"
    if labels.correlation_id is None and event.trace_id is None:
        return "a label has no trace id"
    return None


def _write_telemetry(
    connection: duckdb.DuckDBPyConnection, target: Path, mapping: OtlpMapping, kept: _Kept, done: Import
) -> None:
    if not kept.span_days:
        return
    counts = touched_days(connection, target, mapping, kept.names, sorted(kept.span_days))
    others = counts.pop(None, 0)
    if others:
        said = (
            f"{counted(others, 'trace')} of these files have no span {mapping.prediction.span} yet, so they have no row"
        )
        # without any prediction the mapping is probably wrong
        (done.remarks if counts else done.problems).append(said)
    done.tell([write_predictions(connection, target, mapping, day) for day in counts if day])
