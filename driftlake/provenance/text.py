"""Writes the provenance of a row for a terminal, and as JSON.

Not here: finding it (`driftlake.provenance.trace`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from driftlake.nightly.stages import code_version
from driftlake.provenance.trace import Provenance, Row
from driftlake.vocabulary.wording import counted

_SHORT = 16
_LABEL_WIDTH = 18
_SHOWN_FILES = 3


def as_json(provenance: Provenance) -> str:
    """Everything, with every file and every run, as one JSON object."""
    return json.dumps(asdict(provenance), default=str, indent=2)


def as_text(provenance: Provenance, config_hash: str) -> str:
    """One section for each part of the provenance; `config_hash` is that of the current settings."""
    sections = [
        (_title(provenance), _row_lines(provenance.row or {})),
        *((f"written by {run['stage']}", _run_lines(run, config_hash)) for run in provenance.runs),
        ("earlier stages", _stage_lines(provenance.earlier_runs)),
        ("input files", _file_lines(provenance.files)),
        *(
            (f"trained as {run['model_id']} {run['model_version']}", _training_lines(run))
            for run in provenance.training
        ),
        ("as it was written", iter(provenance.query.splitlines())),
    ]
    return "\n\n".join("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections)


def _title(provenance: Provenance) -> str:
    on = f" of {provenance.dt}" if provenance.dt else ""
    return f"{provenance.relation}: {counted(provenance.row_count, 'row')}{on}"


def _labelled(label: str, value: Any) -> str:
    return f"{label:<{_LABEL_WIDTH}} {value}"


def _row_lines(row: Row) -> Iterator[str]:
    width = max(map(len, row), default=0)
    return (f"{name:<{width}} {value}" for name, value in row.items() if value is not None)


def _run_lines(run: Row, config_hash: str) -> Iterator[str]:
    yield _labelled("day", f"{run['dt']}, {run['outcome']}")
    yield _labelled("run", run["run_id"])
    yield _labelled("computed", f"{run['started_at']:%Y-%m-%d %H:%M:%S %Z}")
    yield _labelled("committed", f"{run['committed_at']:%Y-%m-%d %H:%M:%S %Z}")
    yield _labelled("code", _compared(run["code_version"], code_version()))
    yield _labelled("configuration", _compared(run["config_hash"], config_hash))
    yield _labelled("input fingerprint", run["input_fingerprint"] or "none, because something could not be read")
    yield _labelled("snapshot", run["snapshot_id"])


def _compared(then: str, now: str) -> str:
    return f"{then} ({'as now' if then == now else f'now {now}'})"


def _stage_lines(runs: Sequence[Row]) -> Iterator[str]:
    if not runs:
        yield "none"
    for stage, group in groupby(runs, key=lambda run: run["stage"]):
        of_stage = list(group)
        what = [
            counted(len(of_stage), "day"),
            counted(len({run["run_id"] for run in of_stage}), "run"),
            counted(len({run["code_version"] for run in of_stage}), "code version"),
            counted(len({run["config_hash"] for run in of_stage}), "configuration"),
        ]
        yield _labelled(stage, f"{of_stage[0]['dt']} to {of_stage[-1]['dt']}: {', '.join(what)}")


def _file_lines(files: Sequence[Row]) -> Iterator[str]:
    if not files:
        yield "none"
    for source, group in groupby(files, key=lambda file: file["source"]):
        of_source = list(group)
        size = sum(file["size_bytes"] for file in of_source)
        what = f"{counted(len(of_source), 'file')}, {counted(size, 'byte')}"
        yield _labelled(source, f"{of_source[0]['dt']} to {of_source[-1]['dt']}: {what}")
        for file in of_source[-_SHOWN_FILES:]:
            refused = ", refused" if file["outcome"] == "refused" else ""
            yield f"  {file['content_fingerprint'][:_SHORT]:<{_SHORT}} {file['path']}{refused}"
        if len(of_source) > _SHOWN_FILES:
            yield f"  and {len(of_source) - _SHOWN_FILES:,} more: --format json lists all"


def _training_lines(run: Row) -> Iterator[str]:
    yield _labelled("training run", run["training_run_id"])
    yield _labelled("dataset", f"{run['training_dataset_id']}, {counted(run['row_count'], 'row')}")
    yield _labelled("data", run["training_data"])
    yield _labelled("data fingerprint", run["dataset_fingerprint"])
    yield _labelled("lineage", run["lineage_fingerprint"])
    for measure in ("auc", "accuracy", "f1_score"):
        if (baseline := run.get(f"baseline_{measure}")) is not None:
            yield _labelled(f"baseline {measure}", baseline)
    if run["released_at"]:
        yield _labelled("released", f"{run['released_at']:%Y-%m-%d %H:%M:%S %Z}")
    yield _labelled("registered", f"{run['registered_at']:%Y-%m-%d %H:%M:%S %Z}")
