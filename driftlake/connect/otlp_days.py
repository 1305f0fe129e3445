"""Days of telemetry and labels, written from the spans and events that were kept of all imported files.

A day has one file, which is rewritten from everything that is kept for the day, so the order and number of imports do not matter.
Not here: reading OTLP (`otlp_import`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from driftlake.connect.day_files import WrittenDay, replace_day
from driftlake.connect.mapping_files import REQUIRED
from driftlake.connect.otlp_mapping import ROOT, LabelEvents, OtlpMapping
from driftlake.connect.stored_entries import FOLDER, number_column, stored_files, text_column
from driftlake.inputs.columns import TELEMETRY_COLUMNS
from driftlake.lake import queries
from driftlake.lake.queries import literal, quote
from driftlake.maths.value_text import sql_text
from driftlake.vocabulary.wording import counted

# The name of the file of a day.
FILE_NAME = "otlp.parquet"
# Columns that are always text, so that their type is the same on every day.
_TEXTS = frozenset(column.name for column in TELEMETRY_COLUMNS if column.sql_type == "varchar")
_A_DAY = timedelta(days=1)
_WHY_LOST = (
    "their spans or events are no longer kept, or the mapping no longer chooses them; the file was not changed. Remove it "
    "and import again to write it without these rows"
)


def touched_days(
    connection: duckdb.DuckDBPyConnection,
    target: Path,
    mapping: OtlpMapping,
    names: Iterable[str],
    days: Sequence[date],
) -> dict[date | None, int]:
    """Number of traces and predictions of the files kept under `names`, by day; None stands for traces without a prediction."""
    names = set(names)
    new = [path for path in stored_files(target, days) if Path(path).stem in names]
    _view_spans(connection, "new_spans", new, mapping)
    near = sorted({near for day in days for near in _around(day)})
    _view_spans(connection, "stored_spans", stored_files(target, near), mapping)
    return dict(queries.run(connection, "connect/otlp_touched_days", **_chosen(mapping)).fetchall())


def write_predictions(
    connection: duckdb.DuckDBPyConnection, target: Path, mapping: OtlpMapping, day: date
) -> WrittenDay:
    """Write the predictions of a day from the spans of it and the days around it: a trace may pass midnight."""
    _view_spans(connection, "stored_spans", stored_files(target, _around(day)), mapping)
    queries.run(connection, "connect/otlp_placed_spans", day=day, **_chosen(mapping))
    texts = _text_attributes(connection, "placed_spans", mapping.attributes)
    rows = predictions_query(mapping, texts)
    [(several,)] = connection.execute(
        "select count(distinct id) from placed_spans where is_prediction and place > 1"
    ).fetchall()
    remarks = [_remark_on_several(several, mapping)] if several else []
    # every event has an id; an attribute of a span may be missing
    done = _replaced(connection, target, day, rows, "correlation_id" if mapping.prediction.is_event else "trace_id")
    if done.problems:
        return done
    problems, missing = _missing(connection, mapping, done.row_count)
    return replace(done, problems=problems, remarks=[*remarks, *missing])


def predictions_query(mapping: OtlpMapping, texts: frozenset[str]) -> str:
    """SQL of a row per prediction in placed_spans; `texts` are the attributes that have values other than numbers."""
    columns = {name: _attribute(attribute, texts, name) for name, attribute in mapping.all_columns.items()}
    is_measured = "is_root" if mapping.latency == ROOT else f"name = {literal(mapping.latency)}"
    measured = f"arg_min(end_ns - start_ns, place) filter (where {is_measured}) / 1e6"
    correlation_id = columns.pop("correlation_id", "placed_spans.id")
    own = {
        # the attribute of an event is its id
        "correlation_id": "placed_spans.id" if mapping.prediction.is_event else correlation_id,
        "event_time": "make_timestamp(arg_min(start_ns, place) // 1000)",
        "latency_ms": columns.pop("latency_ms", measured),
        "success": "not bool_or(is_error and (is_prediction or is_root))",
    }
    stages = {
        # the sum of whole numbers is the same in any order
        name: f"cast(sum(end_ns - start_ns) filter (where name = {literal(span)}) as bigint) / 1e6"
        for name, span in mapping.stages.items()
    }
    traced = {name: f"any_value({name}) filter (where place = 1)" for name in ("trace_id", "span_id")}
    selected = own | columns | stages | traced
    listed = ",\n    ".join(f"{expression} as {quote(name)}" for name, expression in selected.items())
    return f"select\n    {listed}\nfrom placed_spans\ngroup by placed_spans.id\norder by event_time, placed_spans.id"


def write_labels(connection: duckdb.DuckDBPyConnection, target: Path, labels: LabelEvents, day: date) -> WrittenDay:
    """Write the labels that arrived on a day; a label that occurs in two files is written once."""
    _view(connection, "stored_events", stored_files(target, [day]))
    texts = _text_attributes(connection, "stored_events", labels.attributes)
    own = labels.correlation_id
    rows = (
        f"select distinct\n    {_value(own, texts, is_text=True) if own else 'trace_id'} as correlation_id,\n"
        f"    {_value(labels.value, texts)} as label,\n"
        "    make_timestamp(time_ns // 1000) as label_time\n"
        "from stored_events\norder by all"
    )
    return _replaced(connection, target, day, rows, "correlation_id")


def _missing(
    connection: duckdb.DuckDBPyConnection, mapping: OtlpMapping, row_count: int
) -> tuple[list[str], list[str]]:
    """Problems and remarks about columns without a value in some of day_rows."""
    sources = {name: f"attribute {attribute}" for name, attribute in mapping.columns.items()}
    sources |= {name: f"span {span}" for name, span in mapping.stages.items()}
    sources.setdefault("latency_ms", "root span" if mapping.latency == ROOT else f"span {mapping.latency}")
    counts = connection.execute(
        f"select {', '.join(f'count(*) - count({quote(name)})' for name in sources)} from day_rows"
    ).fetchone()
    problems: list[str] = []
    remarks: list[str] = []
    for (name, source), count in zip(sources.items(), counts or (), strict=True):
        # a service that writes events need not have spans
        is_from_spans = name == "latency_ms" and name not in mapping.columns
        is_expected = is_from_spans and mapping.prediction.is_event and count == row_count
        if count and not is_expected:
            said = f"{count:,} of {counted(row_count, 'prediction')} have no {source} ({name})"
            # spans of another service may be in a file that is imported later
            is_wrong = name in mapping.columns and (count == row_count or name in {*REQUIRED, "correlation_id"})
            (problems if is_wrong else remarks).append(said)
    return problems, remarks


def _replaced(connection: duckdb.DuckDBPyConnection, target: Path, day: date, rows: str, key: str) -> WrittenDay:
    path, temporary = target / f"dt={day}" / FILE_NAME, target / FOLDER / ".day.parquet"
    return replace_day(connection, path, temporary, rows, key=key, why_lost=_WHY_LOST)


def _text_attributes(connection: duckdb.DuckDBPyConnection, relation: str, attributes: Sequence[str]) -> frozenset[str]:
    """The attributes that have a text in some row."""
    counts = connection.execute(
        f"select {', '.join(f'count({quote(text_column(name))})' for name in attributes)} from {relation}"
    ).fetchone()
    return frozenset(name for name, count in zip(attributes, counts or (), strict=True) if count)


def _attribute(attribute: str, texts: frozenset[str], column: str) -> str:
    """SQL of an attribute of a trace: the value of the first span that has it."""
    return f"arg_min({_value(attribute, texts, is_text=column in _TEXTS)}, place)"


def _value(attribute: str, texts: frozenset[str], *, is_text: bool = False) -> str:
    number, text = quote(number_column(attribute)), quote(text_column(attribute))
    return f"coalesce({text}, {sql_text(number, pa.float64())})" if is_text or attribute in texts else number


def _remark_on_several(several: int, mapping: OtlpMapping) -> str:
    kind = mapping.prediction.kind
    if mapping.prediction.is_event:
        return f"{counted(several, 'correlation id')} with several predictions ({kind}), the first counts"
    return f"{counted(several, 'trace')} with several spans {mapping.prediction.span}, the first counts"


def _chosen(mapping: OtlpMapping) -> dict[str, bool | str | None]:
    """Parameters of SQL that say which of the kept spans are predictions."""
    prediction = mapping.prediction
    return {"is_event": prediction.is_event, "name": prediction.name, "service": prediction.service}


def _view_spans(connection: duckdb.DuckDBPyConnection, name: str, paths: Iterable[str], mapping: OtlpMapping) -> None:
    """A view of the entries for telemetry, with the id of the prediction, or of the trace of a span."""
    _view(connection, f"{name}_of_files", paths)
    attribute = mapping.correlation_attribute
    own = f"if(is_event, {_value(attribute, frozenset(), is_text=True)}, trace_id)" if attribute else "trace_id"
    # events that were kept under an earlier mapping may have no id
    connection.execute(
        f"create or replace temp view {name} as select *, {own} as id from {name}_of_files where id is not null"
    )


def _view(connection: duckdb.DuckDBPyConnection, name: str, paths: Iterable[str]) -> None:
    listed = ", ".join(literal(path) for path in paths)
    # files that were kept under an earlier mapping have other attributes
    connection.execute(f"create or replace temp view {name} as from read_parquet([{listed}], union_by_name = true)")


def _around(day: date) -> tuple[date, ...]:
    return day - _A_DAY, day, day + _A_DAY
