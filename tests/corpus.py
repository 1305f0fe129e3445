"""Broken and hostile inputs by name: what is broken, what must happen, and how to tell. docs/bad-input.md lists them.

Not here: running them (test_corpus.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data import day, noon
from project import ROWS, Project, break_pages, truncate

HOSTILE = """it's "quoted"; drop table alerts; --\n<script>alert(1)</script>"""


@dataclass(frozen=True)
class Case:
    """An input of day 1 that is broken; the day ends with `outcome` after `counted` predictions were counted.

    `says` is in the reason of the run or in the message of a check.
    """

    name: str
    broken: str
    expected: str
    make: Callable[[Project], Any]
    outcome: str = "complete"
    counted: int | None = ROWS
    says: str = ""
    stage: str = "profiles"
    project: Mapping[str, Any] = field(default_factory=dict)


def _telemetry(**changes: Any) -> Callable[[Project], Any]:
    return lambda project: project.telemetry(1, **changes)


def _beside_good(**changes: Any) -> Callable[[Project], Any]:
    """A good file, and a small one beside it."""

    def make(project: Project) -> Path:
        project.telemetry(1)
        columns = {"correlation_id": [f"e{row}" for row in range(20)], "event_time": [noon(1)] * 20} | changes
        return project.telemetry(1, name="part-1", **columns)

    return make


def _damaged(damage: Callable[[Path], Any]) -> Callable[[Project], Any]:
    return lambda project: damage(_beside_good()(project))


def _labels(**changes: Any) -> Callable[[Project], Any]:
    def make(project: Project) -> Path:
        project.telemetry(1)
        return project.labels(1, **changes)

    return make


def _damaged_labels(damage: Callable[[Path], Any]) -> Callable[[Project], Any]:
    return lambda project: damage(_labels()(project))


def _first(values: list[Any], others: Any) -> list[Any]:
    """`values` in the first rows, `others` in the rest."""
    return values + [others] * (ROWS - len(values))


def _ids(*first: Any) -> list[Any]:
    return [*first, *(f"d1-{row}" for row in range(len(first), ROWS))]


def _moved_outside(project: Project, path: Path) -> None:
    path.symlink_to(path.rename(project.root / "elsewhere.parquet"))


def _without_metadata(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4])


def _rewritten(change: Callable[[pa.Table], pa.Table] = lambda table: table, **how: Any) -> Callable[[Path], Any]:
    """A file written again, well compressed and without the Arrow schema, which would repair the patched parts."""

    def rewrite(path: Path) -> None:
        table = change(pq.read_table(path))
        pq.write_table(table, path, compression="zstd", store_schema=False, **how)

    return rewrite


def _patched(
    old: bytes, new: bytes, change: Callable[[pa.Table], pa.Table] = lambda table: table
) -> Callable[[Path], Any]:
    def patch(path: Path) -> None:
        _rewritten(change)(path)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))

    return patch


def _with(name: str, values: Callable[[int], Any]) -> Callable[[pa.Table], pa.Table]:
    """A table with a column replaced, or appended."""

    def change(table: pa.Table) -> pa.Table:
        column = pa.array(values(table.num_rows))
        if name in table.column_names:
            return table.set_column(table.column_names.index(name), name, column)
        return table.append_column(name, column)

    return change


def _wide(table: pa.Table) -> pa.Table:
    columns = {name: table.column(name) for name in table.column_names}
    return pa.table(columns | dict.fromkeys([f"c{number}" for number in range(20_000)], table.column("x")))


def _equal_rows(table: pa.Table) -> pa.Table:
    return table.take(pa.array(np.zeros(1_000_000, np.int8)))


# Named for tests that check more than an outcome: the damage, and the message about the file.
HOSTILE_FILES: Mapping[str, tuple[Callable[[Project], Any], str]] = {
    "name_is_not_utf8": (_damaged(_patched(b"abcdef", b"ab\xff\xfeef", _with("abcdef", lambda rows: [1] * rows))), "is not a readable Parquet file (a column has a name that is not UTF-8)"),
    "type_unknown_to_duckdb": (_damaged(_patched(b"correlation_id%\0L\x1c", b"correlation_id%\x3cL\x1c")), "cannot be read by DuckDB (TProtocolException"),
    "list_unknown_to_duckdb": (_damaged(_patched(b"\x19|&\0", b"\x19}&\0")), "cannot be read by DuckDB (don't know what type"),
    "twenty_thousand_columns": (_damaged(_rewritten(_wide)), "has 20,007 columns, more than 10,000"),
    "equal_rows_without_end": (_damaged(_rewritten(_equal_rows)), "has 1,000,000 rows in "),
    "cells_of_megabytes": (_damaged(_rewritten(_with("correlation_id", lambda rows: [f"{row}" + "x" * 2_000_000 for row in range(rows)]))), "has column correlation_id with cells of 2,00"),
    "column_twice": (_damaged(_rewritten(lambda table: table.append_column("x", table.column("x")))), "has several columns called x"),
}  # fmt: skip

LEFT_OUT = "the file goes to quarantine; the rest of the day is counted; `partition_runs` gives the reason"
SET_ASIDE = "the rows go to quarantine; the rest of the day is counted; `partition_runs` gives the reason"
UNREAD = "the column of that file is not read; everything else is counted; `partition_runs` gives the reason"
TOLD = "counted, with a warning that gives the column, the number of rows and what was found"

FILES = (
    Case("truncated_file", "a Parquet file without its end", LEFT_OUT, _damaged(truncate), "partial", ROWS, "no Parquet footer"),
    Case("corrupt_pages", "a good footer above broken pages", LEFT_OUT, _damaged(break_pages), "partial", ROWS, "is corrupt"),
    Case("empty_file", "a file of 0 bytes", LEFT_OUT, _damaged(lambda p: p.write_bytes(b"")), "partial", ROWS, "no Parquet footer"),
    Case("csv_named_parquet", "text under a Parquet name", LEFT_OUT, _damaged(lambda p: p.write_text("a,b\n1,2\n" * 9)), "partial", ROWS, "another format"),
    Case("magic_only", "nothing but the magic bytes", LEFT_OUT, _damaged(_without_metadata), "partial", ROWS, "no Parquet footer"),
    Case("garbage_footer", "a footer of random bytes", LEFT_OUT, _damaged(lambda p: p.write_bytes(b"PAR1" + b"\x07" * 40 + b"\x28\0\0\0PAR1")), "partial", ROWS, "not a readable Parquet file"),
    Case("name_is_not_utf8", "a column whose name is not UTF-8", LEFT_OUT, HOSTILE_FILES["name_is_not_utf8"][0], "partial", ROWS, "not UTF-8"),
    Case("unknown_to_duckdb", "a footer that Arrow reads and DuckDB does not", LEFT_OUT, HOSTILE_FILES["type_unknown_to_duckdb"][0], "partial", ROWS, "cannot be read by DuckDB"),
    Case("twenty_thousand_columns", "a file of 20,000 columns", LEFT_OUT, HOSTILE_FILES["twenty_thousand_columns"][0], "partial", ROWS, "more than 10,000"),
    Case("cells_of_megabytes", "correlation ids of two megabytes each", LEFT_OUT, HOSTILE_FILES["cells_of_megabytes"][0], "partial", ROWS, "with cells of"),
    Case("column_twice", "two columns of one name", LEFT_OUT, HOSTILE_FILES["column_twice"][0], "partial", ROWS, "several columns called x"),
    Case("hidden_file", "a file whose name begins with _ or ., as writers name unfinished files", "it is ignored", lambda p: (p.telemetry(1), p.telemetry(1, name="_part-1"), p.telemetry(1, name=".part-2"))),
    Case("no_rows", "a file with columns and no rows", "the day is empty, with a warning", lambda p: pq.write_table(pq.read_table(p.telemetry(1)).slice(0, 0), p.telemetry(1)), "empty", None, "no rows"),
    Case("only_file_truncated", "the only file of the day without its end", "the day is refused", lambda p: truncate(p.telemetry(1)), "refused", None, "no Parquet footer"),
    Case("mostly_truncated", "most of a day's bytes cannot be read", "the day is refused, because too little of it is left", lambda p: (p.telemetry(1), truncate(p.telemetry(1, name="part-1", correlation_id=[f"e{row}" for row in range(5 * ROWS)]))), "refused", None, "more than contracts.largest_quarantined_share"),
    Case("no_telemetry", "a day without a folder", "recorded as missing, with a warning", lambda _: None, "missing", None, "there is no telemetry"),
    Case("stray_files", "a text file and a folder among the Parquet files", "they are ignored", lambda p: (p.telemetry(1).with_name("_SUCCESS").write_text(""), p.telemetry(1).with_name("old.parquet").mkdir())),
    Case("odd_folder", "a folder dt=yesterday beside the days", "it is ignored", lambda p: (p.telemetry(1), (p.root / "telemetry" / "dt=yesterday").mkdir())),
    Case("link_outside", "a link to a file outside the telemetry folder", LEFT_OUT, lambda p: _moved_outside(p, _beside_good()(p)), "partial", ROWS, "outside"),
    Case("quotes_in_file_name", "a file name with quotes and a semicolon", "counted like any other", lambda p: p.telemetry(1, name="it's \"part\"; 1")),
    Case("glob_in_file_name", "a file name with * and [ ]", "counted once", lambda p: (p.telemetry(1, name="a"), p.telemetry(1, name="[a]*", correlation_id=[f"e{row}" for row in range(20)])), counted=ROWS + 20),
)  # fmt: skip

COLUMNS = (
    Case("no_correlation_id", "a file without the column correlation_id", LEFT_OUT, _beside_good(correlation_id=None), "partial", ROWS, "has no column correlation_id"),
    Case("no_event_time", "a file without the column event_time", LEFT_OUT, _beside_good(event_time=None), "partial", ROWS, "has no column event_time"),
    Case("no_model_version", "a file without the column model_version", LEFT_OUT, _beside_good(model_version=None), "partial", ROWS, "has no column model_version"),
    Case("event_time_as_text", "event_time as text", LEFT_OUT, _beside_good(event_time=["noon"] * 20), "partial", ROWS, "expected a timestamp"),
    Case("score_as_text", "score as text", UNREAD, _beside_good(score=["high"] * 20), "partial", ROWS + 20, "is not read, expected a number"),
    Case("latency_as_text", "latency_ms as text", UNREAD, _beside_good(latency_ms=["slow"] * 20), "partial", ROWS + 20, "is not read, expected a number"),
    Case("id_as_float", "correlation_id as a float that is not a whole number", SET_ASIDE, _beside_good(correlation_id=[0.5] * 20), "partial", ROWS, "correlation_id is null in 20 of 320"),
    Case("id_as_list", "correlation_id as a list", LEFT_OUT, _beside_good(correlation_id=[["a"]] * 20), "partial", ROWS, "expected text or a number"),
    Case("feature_is_gone", "a feature without a column", "the feature is left out of the day, everything else is counted", _telemetry(x=None), "partial", ROWS, "has no column x"),
    Case("feature_changed_type", "a number that has become text", "the feature is left out of the day, everything else is counted", _telemetry(x=["1.5"] * ROWS), "partial", ROWS, "has type string"),
    Case("column_of_other_case", "correlation_id written Correlation_ID", LEFT_OUT, lambda p: (p.telemetry(1), p.telemetry(1, name="part-1", correlation_id=None, event_time=[noon(1)] * 20, Correlation_ID=["e"] * 20)), "partial", ROWS, "has no column correlation_id"),
    Case("additional_columns", "columns that driftlake does not use", "they are ignored", _telemetry(**{HOSTILE: [1] * ROWS, "dt": ["x"] * ROWS, "filename": ["x"] * ROWS})),
    Case("reserved_column", "a column called file_row_number", LEFT_OUT, _beside_good(file_row_number=[1] * 20), "partial", ROWS, "has a column file_row_number"),
    Case("score_is_gone", "telemetry without scores", "features are counted", _telemetry(score=None)),
)  # fmt: skip

VALUES = (
    Case("null_ids", "predictions without a correlation id", SET_ASIDE, _telemetry(correlation_id=_ids(None, None)), "partial", ROWS - 2, "correlation_id is null in 2 of 300"),
    Case("null_times", "predictions without a time", SET_ASIDE, _telemetry(event_time=_first([None] * 3, noon(1))), "partial", ROWS - 3, "event_time is null in 3 of 300"),
    Case("all_null_ids", "no prediction has a correlation id", "the day is refused", _telemetry(correlation_id=pa.nulls(ROWS, pa.string())), "refused", None, "100.0% of the rows break the contract"),
    Case("another_day", "predictions of another day", TOLD, _telemetry(event_time=_first([noon(4)], noon(1))), says="outside its partition's day (2024-03-04 12:00:00"),
    Case("year_1970", "a time of 1970", TOLD, _telemetry(event_time=_first([datetime(1970, 1, 1)], noon(1))), says="outside its partition's day (1970-01-01"),
    Case("half_a_day", "nothing after the morning", TOLD, _telemetry(event_time=[noon(1) - timedelta(hours=5)] * ROWS), says="hours of the day may not have been delivered"),
    Case("score_out_of_range", "a probability of 1.7", TOLD, _telemetry(score=_first([1.7], 0.5)), says="outside 0..1"),
    Case("score_not_a_number", "scores that are NaN and infinite", TOLD, _telemetry(score=_first([np.nan, np.inf], 0.5)), says="outside 0..1"),
    Case("negative_latency", "a latency of -5 ms", TOLD, _telemetry(latency_ms=_first([-5.0], 10.0)), says="latency_ms is negative (min -5)"),
    Case("unknown_deployment", "a deployment called blue", TOLD, _telemetry(deployment=_first(["blue"], "production")), says="deployment is blue in 1 of 300"),
    Case("unknown_version", "predictions of a version that was never registered", "left out, with a warning that names it", _telemetry(model_version=_first(["v9"] * 4, "v1")), counted=ROWS - 4, says="credit/v9"),
    Case("null_version", "predictions without a model version", "left out, with a warning", _telemetry(model_version=_first([None], "v1")), counted=ROWS - 1, says="no training run"),
    Case("other_dataset", "another training dataset than the lineage's", TOLD, _telemetry(training_dataset_id=_first(["data-0"], "data-1")), says="v1 says data-0"),
    Case("delivered_twice", "predictions delivered twice", "counted once; a warning counts the rest", _telemetry(correlation_id=_ids("same", "same", "same")), counted=ROWS - 2, says="repeats for the same model version in 2 of 300"),
    Case("file_delivered_twice", "a whole file delivered twice", "counted once; a warning counts the rest", lambda p: (p.telemetry(1), p.telemetry(1, name="copy")), says="in 300 of 600 rows"),
    Case("feature_goes_missing", "a feature that is null in one row of five", TOLD, _telemetry(x=_first([None] * 60, 0.5)), says="x is missing in 60 of 300 rows, 20.0% against 0.0% in training"),
    Case("few_rows", "a third of the usual rows of that weekday", TOLD, lambda p: ([p.telemetry(n) for n in (-6, -13, -20)], p.telemetry(1, correlation_id=[f"d1-{row}" for row in range(100)])), counted=100, says="300 are usual", project={"start": day(-20)}),
    Case("many_rows", "three times the usual rows of that weekday", TOLD, lambda p: ([p.telemetry(n) for n in (-6, -13)], p.telemetry(1, correlation_id=[f"d1-{row}" for row in range(900)])), counted=900, says="300 are usual", project={"start": day(-20)}),
    Case("id_of_a_megabyte", "a correlation id of a megabyte", "counted like any other", _telemetry(correlation_id=_ids("x" * 1_000_000))),
    Case("hostile_values", "ids and categories with quotes, semicolons, newlines and tags", "counted like any other", _telemetry(correlation_id=_ids(HOSTILE), colour=_first([HOSTILE], "red"))),
    Case("hostile_deployment", "a deployment that is SQL", TOLD, _telemetry(deployment=_first([HOSTILE], "production")), says="deployment is it's"),
)  # fmt: skip

LABELS = (
    Case("label_file_truncated", "a file of labels without its end", "the day of labels is refused", _damaged_labels(truncate), "refused", None, "no Parquet footer", "label_cohorts"),
    Case("label_pages_corrupt", "a file of labels with broken pages", "the day of labels is refused", _damaged_labels(break_pages), "refused", None, "is corrupt", "label_cohorts"),
    Case("label_file_beside", "a damaged file of labels beside a good one", LEFT_OUT, lambda p: truncate(p.labels(1).rename(_labels()(p).with_name("part-1.parquet"))) or p.labels(1), "partial", None, "no Parquet footer", "label_cohorts"),
    Case("no_label_column", "labels without the column label", "the day of labels is refused", _labels(label=None), "refused", None, "has no column label", "label_cohorts"),
    Case("label_as_text", "labels that are words", "the day of labels is refused", _labels(label=["yes"] * ROWS), "refused", None, "no model counts in 300 of 300 rows", "label_cohorts"),
    Case("label_without_id", "labels without a correlation id", SET_ASIDE, _labels(correlation_id=_ids(None)), "partial", None, "correlation_id is null in 1 of 300", "label_cohorts"),
    Case("label_is_null", "labels that are null", "they are refused, with a warning", _labels(label=_first([None], 1)), "complete", None, "label is null in 1 of 300", "label_cohorts"),
    Case("label_of_two", "a label of 2", "it is refused, with a warning", _labels(label=_first([2], 1)), "complete", None, "label is 2", "label_cohorts"),
    Case("label_from_the_future", "a label later than its arrival", TOLD, _labels(label_time=_first([noon(99)], noon(1))), "complete", None, "later than the label's arrival", "label_cohorts"),
    Case("label_twice", "the same label twice on a day", "one is counted, with a warning", _labels(correlation_id=_ids("d1-5")), "complete", None, "repeats on the same day in 1 of 300", "label_cohorts"),
    Case("id_used_again", "a correlation id that occurs on two days", "both are labelled, with a warning", lambda p: (p.telemetry(-1, correlation_id=[f"d1-{row}" for row in range(ROWS)]), _labels()(p), p.run(-1, -1, until="profiles")), "complete", None, "300 of 300 labels match predictions of one version on several days", "label_cohorts", project={"start": day(-5)}),
    Case("label_of_nobody", "labels of predictions that do not exist", "counted as unmatched", _labels(correlation_id=[f"nobody-{row}" for row in range(ROWS)]), "complete", None, "", "label_cohorts"),
    Case("prediction_on_text", "prediction_on that is not a date", UNREAD, _labels(prediction_on=["Friday"] * ROWS), "partial", None, "is not read, expected a date", "label_cohorts"),
)  # fmt: skip

DAYS = (*FILES, *COLUMNS, *VALUES, *LABELS)


class Corpus(Project):
    """A project in which each day is a case: a case writes its files as day 1, and they become its own day."""

    first = 1

    def add(self, case: Case, number: int) -> None:
        """Make a case the day `number`."""
        self.first = number
        case.make(self)

    def telemetry(self, number: int, *, name: str = "part-0", **changes: Any) -> Path:
        """As of a project in which the day of the case is day 1."""
        return super().telemetry(self._shifted(number), name=name, **self._moved(changes))

    def labels(self, number: int, predicted: int | None = None, **changes: Any) -> Path:
        """As of a project in which the day of the case is day 1."""
        return super().labels(self._shifted(number), predicted and self._shifted(predicted), **self._moved(changes))

    def _shifted(self, number: int) -> int:
        return number + self.first - 1

    def _moved(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: [*map(self._of_its_day, each)] if isinstance(each, list) else each for name, each in changes.items()
        }

    def _of_its_day(self, value: Any) -> Any:
        if isinstance(value, datetime) and value.date() == day(1):
            return value + timedelta(days=self.first - 1)
        if isinstance(value, str) and value.startswith("d1-"):
            return f"d{self.first}{value[2:]}"
        return value


@dataclass(frozen=True)
class Mistake:
    """A configuration, a lineage file or training data that cannot be used; `says` is in the error, whose hint helps."""

    name: str
    broken: str
    says: str
    sections: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def expected(self) -> str:
        """What must happen."""
        return f"refused before anything runs: *{self.says}*"


MISTAKES = (
    Mistake("unknown_key", "a key that does not exist", "unknown key", {"telemetri": {"path": "x"}}),
    Mistake("unknown_severity", "a severity that does not exist", "contracts.severities.label_is_present", {"contracts": {"severities": {"label_is_present": "fatal"}}}),
    Mistake("unknown_signal", "an alert on a signal that does not exist", "there is no signal", {"alerts": [{"name": "a", "signal": "psi", "warn": 1, "critical": 2}]}),
    Mistake("unknown_statistic", "a statistic that does not exist", "there is no statistic", {"drift": {"statistics": {"numeric": ["psy"]}}}),
    Mistake("unknown_time_zone", "a time zone that does not exist", "is not a time zone", {"schedule": {"timezone": "Mars/Olympus"}}),
    Mistake("start_is_no_date", "a start that is not a date", "start", {"start": "soon"}),
    Mistake("other_catalog", "a catalog of another kind", "must start with 'sqlite:' or 'postgres:'", {"warehouse": {"catalog": "mysql:x"}}),
    Mistake("segment_of_no_name", "a segment column with = in its name", "cannot be a segment column", {"telemetry": {"path": "telemetry", "segments": ["a=b"]}}),
    Mistake("extension_outside", "an extension that does not exist", "nowhere.py", {"drift": {"extensions": ["nowhere.py"]}}),
    Mistake("delay_decreases", "label delays that decrease", "must not decrease", lineage={"label_delay": {"p50_days": 3, "p95_days": 2, "max_days": 1}}),
    Mistake("lineage_key", "a lineage key that does not exist", "unknown key", lineage={"modle_id": "credit"}),
    Mistake("feature_twice", "a feature listed twice", "listed twice", lineage={"features": ["x", "x"]}),
    Mistake("no_such_feature", "a feature that the training data does not have", "income", lineage={"features": ["x", "income"]}),
    Mistake("no_training_data", "training data that does not exist", "gone.parquet", lineage={"training_data": "../gone.parquet"}),
    Mistake("date_as_feature", "a feature of dates", "cannot be binned", training={"when": [date(2024, 1, 1)] * 2000}),
    Mistake("nothing_finite", "a feature without a finite value", "no finite value", training={"odd": [np.nan] * 2000}),
)  # fmt: skip
