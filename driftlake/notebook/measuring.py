"""Measures a labelled frame as a nightly run measures a version: the same join of labels, cohorts, statistics and intervals.

The frame is counted into the tables of a warehouse in memory, and the queries and functions of the nightly stage do the
rest. Not here: the statistics (`driftlake.quality`), and the SQL (sql/).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, TypeAlias

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import LabelSettings, ModelSettings, Settings
from driftlake.config.inputs import LabelValue
from driftlake.errors import InputError
from driftlake.inputs.columns import TELEMETRY_COLUMNS, label_columns
from driftlake.inputs.predictions import create_version_tables
from driftlake.lake import queries, schema
from driftlake.lake.session import connect, create_table
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.label_meaning import LabelMeaning
from driftlake.lineage.lineage_files import LineageRecord, ScoreKind, score_divisor
from driftlake.lineage.versions import SCORE, ModelVersion, TrainingLabels
from driftlake.maths import encoding
from driftlake.maths.encoding import float_values
from driftlake.maths.segments import ALL
from driftlake.maths.value_text import category_text
from driftlake.nightly.derived import quality_tables
from driftlake.notebook.frames import Frame, as_file, columns_of, require_columns
from driftlake.notebook.options import Config, checked, settings_of
from driftlake.notebook.results import Result
from driftlake.profiles.kernel import Grouping, ScoreAccumulator
from driftlake.profiles.label_join import LabelJoin, cohorts_of
from driftlake.training.learning import TrainingColumns, learn
from driftlake.training.reference_labels import label_rows_of
from driftlake.training.targets import meaning_of_target
from driftlake.vocabulary.wording import counted

Task: TypeAlias = Literal["binary", "regression", "multiclass"]

_FRAME, _REFERENCE = "frame", "reference"
_VERSION = ("frames", "1")
_ONE_DAY = date(2000, 1, 1)
# labels arrive with their predictions, so nothing is waited for
_LABELS = LabelSettings(path=".")
_SHOWN = (
    "dt", "window_days", "statistic", "value", "confidence_low", "confidence_high", "baseline_value",
    "drop_from_baseline", "label_count", "outcome", "reason",
)  # fmt: skip
_HOW_TO_DECLARE = 'say which label is positive, e.g. `positive="yes"`, or give `task="regression"` or `task="multiclass"` with `classes`'


def performance(  # noqa: PLR0913  # what a lineage file says is given by name
    frame: Frame,
    *,
    label: str,
    score: str | None = None,
    score_kind: ScoreKind | None = None,
    task: Task = "binary",
    positive: LabelValue | None = None,
    negative: LabelValue | None = None,
    quantile: float | None = None,
    classes: Sequence[str] | None = None,
    predicted_class: str | None = None,
    class_scores: Mapping[str, str] | None = None,
    decision_cut: float | None = None,
    day: str | None = None,
    reference: Frame | None = None,
    baseline_auc: float | None = None,
    config: Config = None,
) -> Result:
    """Measure the predictions of a labelled frame: the rows of `model_quality`.

    Parameters
    ----------
    frame
        A data frame of pandas or polars, an Arrow table, or the path of a Parquet file or folder: a row per prediction.
    label, score
        Its columns; rows without a label count as predictions only.
    score_kind
        "probability" (default), "percent" or "value" (default for a regression).
    task, positive, negative, quantile, classes
        As in a lineage file. Binary labels are 0 and 1 or booleans unless `positive` says which is positive.
    predicted_class, class_scores
        Of a multiclass model: the column of the predicted class, and by class the column of its probability.
    decision_cut
        Smallest score that counts as a positive prediction; 0.5 for a probability.
    day
        A column of dates or times. With it there are the windows of `quality.windows_days` that end with each day, and
        intervals that treat days as clusters; without it all rows are one window.
    reference
        Training rows with the same columns, for baselines and, for scores that are not probabilities, for their bins.
    baseline_auc
        The AUC on held-out data.
    config
        A driftlake.yaml (or `Settings`) whose section `quality` is used.

    Returns
    -------
    Result
        `frame` has the rows of every day and window, `summary` those of the longest window of the last day.

    Raises
    ------
    InputError
        The frame has no rows or no labels, lacks a column, or has it in a type that cannot be read.
    ConfigurationError
        Arguments that do not fit together.
    """
    columns = columns_of(frame, _FRAME)
    wanted = [label, *(name for name in (score, predicted_class, day) if name), *(class_scores or {}).values()]
    require_columns(columns, _FRAME, wanted)
    record = checked(
        LineageRecord,
        {
            "model_id": _VERSION[0],
            "model_version": _VERSION[1],
            "training_run_id": "-",
            "training_dataset_id": "-",
            "training_data": _FRAME,
            "target": label,
            "score": score,
            "score_kind": score_kind or ("value" if task == "regression" else "probability"),
            "task": task,
            "quantile": quantile,
            "classes": None if classes is None else tuple(classes),
            "labels": None if positive is None and negative is None else {"positive": positive, "negative": negative},
            "baseline": {"auc": baseline_auc},
        },
        "performance",
    )
    settings = _settings(config, decision_cut, has_days=day is not None)
    expected = None if reference is None else columns_of(reference, _REFERENCE)
    if expected is not None:
        require_columns(expected, _REFERENCE, [label, *([score] if score else [])])
    _require_types(columns, record, day, predicted_class, (class_scores or {}).values())
    version = _version(columns, expected, record, settings)
    rows = _Rows(columns, record, predicted_class, class_scores or {}, _days(columns, day))
    with _counted(rows, version, settings) as warehouse:
        first_day, last_day = pc.min(rows.days).as_py(), pc.max(rows.days).as_py()
        tables = quality_tables(warehouse, settings, {_VERSION: version}, first_day, last_day)
    return _result(tables["model_quality"], day)


def _settings(config: Config, decision_cut: float | None, *, has_days: bool) -> Settings:
    settings = settings_of(config)
    quality = settings.quality if has_days else settings.quality.model_copy(update={"windows_days": (1,)})
    models = {_VERSION[0]: ModelSettings(decision_cut=decision_cut)}
    return settings.model_copy(update={"quality": quality, "models": models, "labels": None})


def _require_types(
    columns: TrainingColumns,
    record: LineageRecord,
    day: str | None,
    predicted_class: str | None,
    class_scores: Iterable[str],
) -> None:
    for name in filter(None, (record.target, predicted_class)):
        if not encoding.is_category(kind := columns.types[name]):
            raise InputError(f"{_FRAME}: column {name} has type {kind}, expected text, a number or a boolean")
    for name in filter(None, (record.score, *class_scores)):
        if not encoding.is_numeric(kind := columns.types[name]):
            raise InputError(f"{_FRAME}: column {name} has type {kind}, expected a number")
    if day is not None and not (pa.types.is_timestamp(kind := columns.types[day]) or pa.types.is_date(kind)):
        raise InputError(f"{_FRAME}: column {day} has type {kind}, expected a date or a timestamp")
    if columns.column(str(record.target)).null_count == columns.row_count():
        raise InputError(f"{_FRAME}: column {record.target} has no labels")


def _version(
    columns: TrainingColumns, expected: TrainingColumns | None, record: LineageRecord, settings: Settings
) -> ModelVersion:
    """The version that the frame is about; without a reference the bins of its scores are learned from the frame."""
    training = expected or columns
    bins = (
        learn(as_file(record, _REFERENCE if expected else _FRAME), training, [], ModelSettings())
        if record.score
        else []
    )
    meaning = _meaning(columns, record, settings)
    version = ModelVersion(
        *_VERSION,
        score_kind="probability" if record.is_probability else "value",
        score_divisor=score_divisor(record.score_kind),
        features={},
        score_bins=next((each.bins for each in bins if each.bins.feature == SCORE), None),
        task=record.task,
        quantile=record.quantile,
        classes=record.classes or (),
        positive_label=meaning.positive if meaning else None,
        negative_label=meaning.negative if meaning else None,
        baseline_auc=record.baseline.auc,
    )
    if expected is None:
        return version
    width = version.score_bins.bin_count if version.score_bins else 1
    labels = TrainingLabels.of(label_rows_of(expected, record, version).to_pylist(), width)
    return replace(version, training_labels=labels)


def _meaning(columns: TrainingColumns, record: LineageRecord, settings: Settings) -> LabelMeaning | None:
    try:
        return meaning_of_target(as_file(record, _FRAME), columns, settings)
    except InputError as error:
        raise InputError(error.message, hint=_HOW_TO_DECLARE) from error


def _days(columns: TrainingColumns, day: str | None) -> pa.ChunkedArray:
    """The day of each row; rows without one are refused."""
    if day is None:
        return pa.chunked_array([pa.repeat(pa.scalar(_ONE_DAY), columns.row_count())])
    found = columns.column(day).cast(pa.date32(), safe=False)
    if found.null_count:
        raise InputError(f"{_FRAME}: column {day} is missing in {counted(found.null_count, 'row')}")
    return found


@contextmanager
def _counted(rows: _Rows, version: ModelVersion, settings: Settings) -> Iterator[Warehouse]:
    """A warehouse in memory with the counts of the rows, whose labels arrive on the day of their predictions."""
    span = {"first_day": pc.min(rows.days).as_py(), "last_day": pc.max(rows.days).as_py()}
    with Warehouse(connect(settings), nullcontext()) as warehouse:
        connection = warehouse.connection
        connection.execute("".join(table.ddl for table in schema.tables()))
        # only these of its columns are read
        registered = pa.Table.from_pylist([version.owner])
        create_table(connection, "training_runs", schema.with_every_column(registered, "training_runs"))
        create_table(connection, "prediction_profile", _prediction_profile(rows, version, settings))
        create_version_tables(connection, [version], settings.models)
        rows.create_relations(connection, version)
        found = (warehouse.query(f"labels/{name}", **span) for name in ("counted_segments", "counted_rates"))
        join = LabelJoin(_LABELS, *span.values(), *found)
        join.judge(connection)
        sums = dict(join.sums(connection))
        cohorts = {name: sums[name] for name in ("class_cohorts", "class_score_cohorts", "shadow_cohorts")}
        for name, counts in (cohorts | {"label_cohorts": cohorts_of(connection, sums["label_sums"])}).items():
            create_table(connection, name, counts)
        yield warehouse


@dataclass(frozen=True)
class _Rows:
    """The rows of the frame: which column is what, and the day of each."""

    columns: TrainingColumns
    record: LineageRecord
    predicted_class: str | None
    class_scores: Mapping[str, str]
    days: pa.ChunkedArray

    def create_relations(self, connection: duckdb.DuckDBPyConnection, version: ModelVersion) -> None:
        """Create the relations that a `LabelJoin` reads, with the number of a row as the id of its prediction and label."""
        named = {"label": self.record.target, "score": self.record.score, "predicted_class": self.predicted_class}
        named |= {f"score {number}": column for number, column in enumerate(self.class_scores.values())}
        used = {name: self.columns.column(column) for name, column in named.items() if column}
        create_table(connection, "frame_rows", pa.table({"dt": self.days, **used}))
        canonical = {column.name: column for column in TELEMETRY_COLUMNS}
        canonical |= {column.name: column for column in label_columns(has_classes=version.has_label_classes)}

        def value(name: str, column: str | None = None) -> str:
            column = column or name
            kind = used[column].type if column in used else None
            return canonical[name].value(column if kind else None, kind)

        place = "dt, rowid::varchar as correlation_id, 0 as file_id, rowid as file_row_number"
        connection.execute(
            f"create table labels as select {place}, {value('label')} as label, {value('label_class', 'label')} as label_class,"
            " null::timestamp as label_time, null::date as prediction_on from frame_rows"
        )
        owner = ", ".join(f"{queries.literal(text)} as {name}" for name, text in version.owner.items())
        divided = "" if version.score_divisor == 1 else f" / {version.score_divisor}"
        scores = ", ".join(f'"score {number}"::double{divided}' for number in range(len(self.class_scores)))
        classes = ", ".join(queries.literal(category_text(str(name))) for name in self.class_scores)
        by_class = f"map([{classes}], [{scores}])" if self.class_scores else "null::map(varchar, double)"
        connection.execute(
            f"create table predictions as select {place}, {owner}, null::timestamp as event_time,"
            f" null::varchar as deployment, {value('predicted_class')} as predicted_class, {by_class} as class_scores,"
            f" []::varchar[] as segments, {value('score')}{divided} as score from frame_rows"
        )
        for name in ("earlier_labels", "recent_labels"):
            connection.execute(f"create table {name} as from labels limit 0")
        connection.execute("create table new_predictions as from predictions limit 0")


def _prediction_profile(rows: _Rows, version: ModelVersion, settings: Settings) -> pa.Table:
    """Rows of prediction_profile."""
    numbers = rows.days.cast(pa.int32()).to_numpy()
    days, codes = np.unique(numbers, return_inverse=True)
    score = rows.record.score
    scores = float_values(rows.columns.column(score)) if score else np.full(len(codes), np.nan)
    cut = version.decision_cut(settings.models[version.model_id])
    accumulator = ScoreAccumulator(version.score_bins, [len(days)], cut, divisor=version.score_divisor)
    grouping = Grouping.of(codes)
    accumulator.add_values(grouping.ordered(scores), [replace(grouping, order=None)])
    [counts] = accumulator.counts()
    columns = counts.columns()
    dt = pa.array(days.astype(np.int32)).cast(pa.date32()).take(pa.array(columns.pop("group")))
    key = version.owner | {"deployment": "production", "segment": ALL}
    repeated = {name: pa.repeat(text, len(dt)) for name, text in key.items()}
    return schema.with_every_column(pa.table({"dt": dt, **repeated, **columns}), "prediction_profile")


def _result(tables: pa.Table, day: str | None) -> Result:
    rows = pl.from_arrow(tables)
    assert isinstance(rows, pl.DataFrame)
    place = ["model_id", "model_version", "deployment", "segment"]
    rows = rows.drop(place if day else [*place, "dt", "window_days"])
    newest = rows.filter(pl.col("dt") == pl.col("dt").max()) if day else rows
    shown = newest.filter(pl.col("window_days") == pl.col("window_days").max()) if day else newest
    measured = len(shown.filter(outcome="measured"))
    first = shown.row(0, named=True)
    sentence = (
        f"{counted(measured, 'statistic')} measured on {counted(first['label_count'], 'label')}"
        f" of {counted(first['prediction_count'], 'prediction')}"
    )
    if day:
        sentence += f" in the window of {counted(first['window_days'], 'day')} to {first['dt']}"
    return Result(sentence, rows, shown.select([name for name in _SHOWN if name in shown.columns]))
