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
from driftlake.connect.otlp_days import touched_days, write_labels, write_predictions
from driftlake.connect.otlp_files import read_file
from driftlake.connect.otlp_lines import Event, Faults, Span
from driftlake.connect.otlp_mapping import OtlpMapping
from driftlake.connect.stored_entries import EVENT_FIELDS, FOLDER, SPAN_FIELDS, EntryWriter, content_hash, entry_writer
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
        stored = _Stored()
        for path in paths:
            _store_file(path, mapping, target, labels_target, now_ns or time.time_ns(), stored, done)
        if stored.unwanted_labels:
            done.remarks.append(
                f"{counted(stored.unwanted_labels, 'label')} not written: name a folder with --labels-out"
            )
        connection = stack.enter_context(spilling_session(compute_of(settings)))
        _write_telemetry(connection, target, mapping, stored, done)
        if labels and labels_target:
            done.add([write_labels(connection, labels_target, labels, day) for day in sorted(stored.label_days)])
    return done


@dataclass(slots=True)
class _Stored:
    """The entries of the files of an import, which may have been imported before."""

    names: set[str] = field(default_factory=set)
    span_days: set[date] = field(default_factory=set)
    label_days: set[date] = field(default_factory=set)
    unwanted_labels: int = 0
    # neither predictions nor labels
    other_events: int = 0


def _store_file(
    path: Path,
    mapping: OtlpMapping,
    target: Path,
    labels_target: Path | None,
    now_ns: int,
    stored: _Stored,
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
        entry_writer(target, name, SPAN_FIELDS, mapping.attributes) as spans,
        entry_writer(labels_target or target, name, EVENT_FIELDS, of_labels) as events,
    ):
        for entry in read_file(path, faults, now_ns):
            if isinstance(entry, Span):
                spans.write(entry)
                continue
            is_prediction, labels = mapping.prediction.is_prediction(entry), mapping.labels_of(entry)
            stored.other_events += not is_prediction and labels is None
            if is_prediction:
                _store_event(spans, entry, faults, "prediction", (), mapping.correlation_attribute)
            if labels and labels_target:
                _store_event(events, entry, faults, "label", [labels.value], labels.correlation_id)
            stored.unwanted_labels += bool(labels) and not labels_target
    done.problems += faults.sentences()
    stored.names.add(name)
    stored.span_days |= set(spans.days)
    stored.label_days |= set(events.days)


def _store_event(
    writer: EntryWriter, event: Event, faults: Faults, what: str, needed: Sequence[str], correlation_id: str | None
) -> None:
    """Store a prediction or a label, or note why it cannot be used."""
    names = [*needed, correlation_id] if correlation_id else needed
    if missing := [name for name in names if event.attributes.get(name, "") == ""]:
        faults.note(f"a {what} has no attribute {missing[0]}", event.line)
    elif correlation_id is None and event.trace_id is None:
        faults.note(f"a {what} has no trace id, and the mapping names no attribute for correlation_id", event.line)
    else:
        writer.write(event)


def _write_telemetry(
    connection: duckdb.DuckDBPyConnection, target: Path, mapping: OtlpMapping, stored: _Stored, done: Import
) -> None:
    kind = mapping.prediction.kind
    if not stored.span_days:
        if mapping.prediction.is_event and stored.other_events and not stored.label_days:
            done.problems.append(
                f"{counted(stored.other_events, 'event')} of these files, none of them is a prediction ({kind})"
            )
        return
    counts = touched_days(connection, target, mapping, stored.names, sorted(stored.span_days))
    others = counts.pop(None, 0)
    if others:
        said = f"{counted(others, 'trace')} of these files have no {kind} yet, so they have no row"
        # without any prediction the mapping is probably wrong
        (done.remarks if counts else done.problems).append(said)
    done.add([write_predictions(connection, target, mapping, day) for day in counts if day])
