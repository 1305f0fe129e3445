"""OpenTelemetry: files that the SDK wrote (otlp/write_files.py) to rows of telemetry, labels and result tables.

Not here: what is counted of telemetry, whoever wrote it (test_profiling.py).
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pyarrow.parquet as pq
import pytest
import yaml
from data import day
from hypothesis import strategies as st
from project import Project
from typer.testing import CliRunner

from driftlake.cli import app
from driftlake.config import ComputeSettings
from driftlake.connect.day_files import Import, spilling_session
from driftlake.connect.mapping_files import read_mapping
from driftlake.connect.otlp_days import predictions_query
from driftlake.connect.otlp_files import read_file
from driftlake.connect.otlp_import import import_files
from driftlake.connect.otlp_lines import Faults, Span
from driftlake.connect.otlp_mapping import OtlpMapping
from driftlake.connect.otlp_proposal import propose
from driftlake.errors import ConfigurationError, InputError

FOLDER = Path(__file__).parent.parent / "otlp"
FILES = [FOLDER / name for name in ("gateway.jsonl", "scorer.jsonl", "outcomes.jsonl")]
PROTOBUF = [path.with_suffix(".binpb") for path in FILES]
MAPPING = OtlpMapping.model_validate(
    {
        "prediction": {"span": "inference", "service": "scorer"},
        "columns": {
            "model_id": "ml.model.id",
            "model_version": "service.version",
            "score": "ml.score",
            "deployment": "deployment.environment.name",
            "colour": "ml.feature.colour",
            "x": "ml.feature.x",
        },
        "stages": {
            "feature_lookup_ms": "feature_lookup",
            "inference_ms": "inference",
            "preprocessing_ms": "preprocessing",
        },
        "labels": {"where": {"gen_ai.evaluation.name": "repaid"}},
    }
)
# Predictions that are log records without a trace, and those of traces.
BATCH, SCORED = FOLDER / "batch.jsonl", FOLDER / "scored.jsonl"
OF_BATCH = OtlpMapping.model_validate(
    {
        "prediction": {"event": "credit.scored", "service": "batch"},
        "columns": {
            "correlation_id": "request.id",
            "latency_ms": "latency_ms",
            "model_id": "body.model.id",
            "model_version": "service.version",
            "score": "prediction",
            "colour": "body.features.colour",
            "x": "body.features.x",
        },
        "labels": {"where": {"gen_ai.evaluation.name": "repaid"}, "correlation_id": "request.id"},
    }
)
OF_SCORED = OtlpMapping.model_validate(
    {
        "prediction": {"where": {"body": "scored"}, "service": "scorer"},
        "columns": {
            "model_id": "model_id",
            "model_version": "service.version",
            "score": "score",
            "deployment": "deployment.environment.name",
            "colour": "features.colour",
            "x": "features.x",
        },
        "stages": MAPPING.stages,
    }
)
NOW = int(datetime(2024, 3, 5, tzinfo=UTC).timestamp()) * 1_000_000_000
NOON = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000_000


def imported(root: Path, *paths: Path, mapping: OtlpMapping = MAPPING) -> Import:
    return import_files(paths, mapping, root / "telemetry", root / "labels", now_ns=NOW)


def predictions(root: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(root / "telemetry" / "dt=2024-03-01" / "otlp.parquet").to_pylist()
    return rows


def span(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A prediction in a trace of its own, as OTLP JSON has it; `attributes` are values of AnyValue by key."""
    attributes = {"ml.model.id": {"stringValue": "credit"}} | changes.pop("attributes", {})
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        # as the collector writes a root
        "parentSpanId": "",
        "name": "inference",
        "startTimeUnixNano": str(NOON),
        "endTimeUnixNano": str(NOON + 5_000_000),
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    } | changes


def line(*spans: dict[str, Any]) -> str:
    version = {"key": "service.version", "value": {"stringValue": "v1"}}
    service = {"key": "service.name", "value": {"stringValue": "scorer"}}
    resource = {"attributes": [service, version]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]})


def record(**changes: Any) -> str:
    """A prediction of the batch with the request id r, as a line of OTLP JSON; `attributes` are values of AnyValue by key."""
    attributes = {"request.id": {"stringValue": "r"}} | changes.pop("attributes", {})
    content = {
        "timeUnixNano": str(NOON),
        "eventName": "credit.scored",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    } | changes
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "batch"}}]}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [content]}]}]})


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{each}\n" for each in lines))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose telemetry and labels are the files of the SDK, counted."""
    stages = ["feature_lookup_ms", "preprocessing_ms", "inference_ms"]
    project = Project(tmp_path_factory.mktemp("otlp") / "project", telemetry={"path": "telemetry", "latencies": stages})
    imported(project.root, *FILES)
    project.run(1, 2, until="label_cohorts")
    return project


def test_latencies_of_spans_are_counted(project: Project) -> None:
    found = project.rows(
        "select metric, sum(row_count), min(lower_ms), max(upper_ms) from service_profile where dt = ?"
        " group by metric order by metric",
        day(1),
    )
    spans = {"feature_lookup_ms": (4, 4), "inference_ms": (10, 10), "latency_ms": (20, 23), "preprocessing_ms": (1, 1)}
    assert [(metric, count) for metric, count, *_ in found] == [(metric, 4) for metric in spans]
    for (shortest, longest), (*_, lower, upper) in zip(spans.values(), found, strict=True):
        # bins are 1 % wide
        assert lower <= shortest < lower * 1.02
        assert longest <= upper < longest * 1.02


def test_attributes_are_counted_as_features(project: Project) -> None:
    found = project.rows(
        "select feature, sum(row_count) from feature_profile where dt = ? and model_version = 'v1'"
        " and segment = 'all' group by feature order by feature",
        day(1),
    )
    assert found == [("colour", 4), ("x", 4)]


def test_a_span_with_an_error_is_a_call_that_failed(project: Project) -> None:
    assert project.rows("select error_kind, row_count from service_errors where dt = ?", day(1)) == [
        ("TimeoutError", 1)
    ]


def test_evaluation_events_are_labels_of_their_traces(project: Project) -> None:
    assert project.rows("select label_count, matched_count from label_arrivals where dt = ?", day(2)) == [(3, 3)]


def test_log_records_are_counted_like_spans(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", telemetry={"path": "telemetry"})
    imported(project.root, BATCH, mapping=OF_BATCH)
    project.run(1, 2, until="label_cohorts")
    latencies = "select sum(row_count), min(lower_ms), max(upper_ms) from service_profile where metric = 'latency_ms'"
    [(row_count, shortest, longest)] = project.rows(latencies)
    # bins are 1 % wide
    assert row_count == 3
    assert (shortest, longest) == (pytest.approx(5, rel=0.02), pytest.approx(7, rel=0.02))
    assert project.rows("select error_kind, row_count from service_errors") == [("TimeoutError", 1)]
    features = "select feature, sum(row_count) from feature_profile where segment = 'all' group by all order by all"
    assert project.rows(features) == [("colour", 3), ("x", 3)]
    assert project.rows("select label_count, matched_count from label_arrivals where dt = ?", day(2)) == [(2, 2)]


def test_log_records_of_traces_have_the_latency_and_stages_of_their_spans(project: Project, tmp_path: Path) -> None:
    imported(tmp_path, FILES[0], SCORED, FILES[1], mapping=OF_SCORED)
    measured = ["correlation_id", "latency_ms", *MAPPING.stages, *MAPPING.columns, "success", "error_kind"]
    of_spans = [{name: row[name] for name in measured} for row in predictions(project.root)]
    assert [{name: row[name] for name in measured} for row in predictions(tmp_path)] == of_spans


def test_log_records_without_spans_have_no_latency_which_is_no_problem(tmp_path: Path) -> None:
    columns = {name: attribute for name, attribute in OF_SCORED.columns.items() if name != "deployment"}
    mapping = OF_SCORED.model_copy(update={"stages": {}, "columns": columns})
    done = imported(tmp_path, SCORED, mapping=mapping)
    assert not done.problems
    assert [remark.partition(": ")[2] for remark in done.remarks] == [
        "1 of 4 predictions have no attribute score (score)"
    ]
    assert [row["latency_ms"] for row in predictions(tmp_path)] == [None] * 4


def test_log_records_of_one_trace_are_predictions_of_their_own(tmp_path: Path) -> None:
    trace_id = f"{1:032x}"
    records = [
        record(traceId=trace_id, timeUnixNano=str(NOON + place), attributes={"request.id": {"stringValue": name}})
        for place, name in enumerate(("a", "b"))
    ]
    columns = {name: attribute for name, attribute in OF_BATCH.columns.items() if name != "latency_ms"}
    mapping = OF_BATCH.model_copy(update={"columns": columns})
    imported(tmp_path, written(tmp_path / "a.jsonl", *records, line(span(1))), mapping=mapping)
    assert [(row["correlation_id"], row["latency_ms"], row["trace_id"]) for row in predictions(tmp_path)] == [
        ("a", 5, trace_id),
        ("b", 5, trace_id),
    ]


def test_the_first_of_several_log_records_of_an_id_counts(tmp_path: Path) -> None:
    records = [
        record(timeUnixNano=str(NOON + time), attributes={"prediction": {"intValue": time}}) for time in (3, 2, 2)
    ]
    done = imported(tmp_path, written(tmp_path / "a.jsonl", *records), mapping=OF_BATCH)
    assert [row["score"] for row in predictions(tmp_path)] == [2]
    assert "1 correlation id with several predictions (event credit.scored), the first counts" in done.remarks[0]


def test_an_event_of_a_span_is_a_prediction_too(tmp_path: Path) -> None:
    request = {"key": "request.id", "value": {"stringValue": "r"}}
    event = {"name": "credit.scored", "timeUnixNano": str(NOON), "attributes": [request]}
    prediction = OF_BATCH.prediction.model_copy(update={"service": "scorer"})
    mapping = OF_BATCH.model_copy(update={"prediction": prediction})
    imported(tmp_path, written(tmp_path / "a.jsonl", line(span(1, events=[event]))), mapping=mapping)
    assert [(row["correlation_id"], row["span_id"]) for row in predictions(tmp_path)] == [("r", f"{1:016x}")]


def test_log_records_without_an_id_are_refused_and_counted(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl",
        record(),
        record(attributes={"request.id": {"stringValue": ""}}),
        record(traceId="0" * 32, attributes={"request.id": {}}),
    )
    done = imported(tmp_path / "mapped", path, mapping=OF_BATCH)
    assert done.problems[0] == f"{path}: 2 refused: a prediction has no attribute request.id (first in line 2)"
    assert len(predictions(tmp_path / "mapped")) == 1
    columns = {name: attribute for name, attribute in OF_BATCH.columns.items() if name != "correlation_id"}
    done = imported(tmp_path / "traced", path, mapping=OF_BATCH.model_copy(update={"columns": columns}))
    assert done.problems == [
        f"{path}: 3 refused: a prediction has no trace id, and the mapping names no attribute for correlation_id (first in line 1)",
    ]


def test_files_in_which_no_log_record_is_a_prediction_are_a_problem(tmp_path: Path) -> None:
    done = imported(tmp_path, SCORED, mapping=OF_BATCH)
    assert done.problems == ["4 events of these files, none of them is a prediction (event credit.scored)"]
    assert not imported(tmp_path, FILES[2], mapping=OF_SCORED.model_copy(update={"labels": MAPPING.labels})).problems


def test_a_proposal_is_of_log_records_if_no_span_has_attributes_of_a_model(tmp_path: Path) -> None:
    for files, mapping in (([BATCH], OF_BATCH), ([SCORED, FILES[0]], OF_SCORED.model_copy(update={"stages": {}}))):
        path = written(tmp_path / "otlp.yaml", propose(files))
        assert read_mapping(OtlpMapping, path, command="otlp") == mapping
    assert "span: inference" in propose([SCORED, FILES[1]])


def test_a_proposal_shows_no_text_that_occurs_once(tmp_path: Path) -> None:
    score = {"score": {"doubleValue": 0.5}}
    text = record(eventName="", body={"stringValue": "scored Jane Doe"}, attributes=score)
    proposal = propose([written(tmp_path / "a.jsonl", text)])
    assert "body: FILL_IN" in proposal
    assert "Jane" not in proposal


def test_the_proposal_for_the_files_is_the_mapping_that_was_written_by_hand(tmp_path: Path) -> None:
    path = written(tmp_path / "otlp.yaml", proposal := propose(FILES))
    assert read_mapping(OtlpMapping, path, command="otlp") == MAPPING
    assert "# - 4 spans 'inference' of service scorer: ml.feature.colour" in proposal


def test_the_documentation_shows_the_proposal_as_it_is() -> None:
    page = (FOLDER.parent.parent / "docs" / "connect" / "opentelemetry.md").read_text()
    assert f"```yml\n{propose(FILES)}```" in page
    assert f"```yml\n{propose([BATCH])}```" in page


def test_a_proposal_for_a_file_without_spans_is_refused() -> None:
    with pytest.raises(InputError, match="no spans, and no log records that look like predictions, in .*outcomes"):
        propose([FILES[2]])


def single_entries(*files: Path) -> list[str]:
    """The lines of the files with one span or log record each, as a collector may batch them."""
    found = []
    for text in (text for path in files for text in path.read_text().splitlines()):
        content = json.loads(text)
        [(signal, [group])] = content.items()
        [(scopes, [scope])] = [item for item in group.items() if item[0] != "resource"]
        [(items, entries)] = [item for item in scope.items() if item[0] != "scope"]
        found += [json.dumps({signal: [group | {scopes: [scope | {items: [entry]}]}]}) for entry in entries]
    return found


@hypothesis.settings(max_examples=8)
@hypothesis.given(lines=st.permutations(single_entries(*FILES)), cut=st.integers(0, 19), overlap=st.integers(0, 5))
def test_rows_do_not_depend_on_the_order_of_lines_nor_on_the_files_they_are_in(
    project: Project, lines: list[str], cut: int, overlap: int
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        imported(root, written(root / "a.jsonl", *lines[:cut]))
        imported(root, written(root / "b.jsonl", *lines[max(cut - overlap, 0) :]))
        assert predictions(root) == predictions(project.root)
        assert (root / "labels" / "dt=2024-03-02" / "otlp.parquet").read_bytes() == (
            project.root / "labels" / "dt=2024-03-02" / "otlp.parquet"
        ).read_bytes()


@hypothesis.settings(max_examples=8)
@hypothesis.given(
    lines=st.permutations(single_entries(SCORED, *FILES[:2], BATCH)), cut=st.integers(0, 28), overlap=st.integers(0, 5)
)
def test_rows_of_log_records_do_not_depend_on_it_either(lines: list[str], cut: int, overlap: int) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        whole, first = written(root / "whole.jsonl", *lines), written(root / "a.jsonl", *lines[:cut])
        second = written(root / "b.jsonl", *lines[max(cut - overlap, 0) :])
        for name, mapping, row_count in (("batch", OF_BATCH, 3), ("scored", OF_SCORED, 4)):
            imported(root / name, first, mapping=mapping)
            imported(root / name, second, mapping=mapping)
            assert len(predictions(root / name)) == row_count
            again = imported(root / name, whole, mapping=mapping)
            assert not any(each.is_changed for each in again.days)
            assert not any("several" in remark for remark in again.remarks)


def test_protobuf_has_the_rows_that_json_has(project: Project, tmp_path: Path) -> None:
    for mapping, *files in ((OF_BATCH, BATCH), (OF_SCORED, SCORED, *FILES[:2])):
        root = tmp_path / files[0].stem
        assert imported(root, *(path.with_suffix(".binpb") for path in files), mapping=mapping).days
        assert not any(each.is_changed for each in imported(root, *files, mapping=mapping).days)
    done = imported(tmp_path, *PROTOBUF)
    assert not done.problems
    assert predictions(tmp_path) == predictions(project.root)
    assert propose(PROTOBUF) == propose(FILES)
    both = imported(tmp_path, *FILES)
    assert not any(each.is_changed for each in both.days)


def test_a_single_request_is_read_too(tmp_path: Path) -> None:
    for path in PROTOBUF:
        framed = path.read_bytes()
        length = int.from_bytes(framed[:4], "big")
        (tmp_path / path.name).write_bytes(framed[4 : 4 + length])
    done = imported(tmp_path, *(tmp_path / path.name for path in PROTOBUF))
    assert not done.problems
    # the gateway wrote each span as a batch of its own
    assert [row["latency_ms"] is None for row in predictions(tmp_path)] == [False, True, True, True]


@hypothesis.settings(max_examples=60)
@hypothesis.given(name=st.sampled_from([0, 1, 2]), place=st.floats(0, 1), byte=st.integers(0, 255), end=st.floats(0, 1))
def test_damaged_protobuf_is_read_or_refused(name: int, place: float, byte: int, end: float) -> None:
    content = bytearray(PROTOBUF[name].read_bytes())
    content[int(place * (len(content) - 1))] = byte
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.binpb"
        path.write_bytes(content[: 5 + int(end * len(content))])
        found = list(read_file(path, Faults(path), NOW))
        assert all(each.trace_id is None or len(each.trace_id) == 32 for each in found)


def test_an_interrupted_file_has_what_was_written_before(tmp_path: Path) -> None:
    path = tmp_path / "a.binpb"
    path.write_bytes(PROTOBUF[0].read_bytes()[:-1])
    found = list(read_file(path, faults := Faults(path), NOW))
    assert len(found) == 3
    assert "a message is incomplete; its writer may have been interrupted (first in message 4)" in faults.sentences()[0]


def test_protobuf_without_its_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.trace.v1.trace_pb2", None)
    done = imported(tmp_path, PROTOBUF[0], FILES[1])
    assert "the file is protobuf, which needs `pip install 'driftlake[otlp]'`" in done.problems[0]
    assert len(predictions(tmp_path)) == 4


def test_the_memory_of_an_import_is_that_of_the_settings() -> None:
    with spilling_session(ComputeSettings(memory_limit="300MB")) as connection:
        asked = "select current_setting('memory_limit'), current_setting('temp_directory')"
        [(limit, folder)] = connection.execute(asked).fetchall()
        assert limit == "286.1 MiB"
        assert Path(folder).is_dir()


def test_a_file_that_is_imported_again_touches_nothing(tmp_path: Path) -> None:
    imported(tmp_path, *FILES)
    days = sorted(tmp_path.rglob("otlp.parquet"))
    before = [path.stat().st_ino for path in days]
    again = imported(tmp_path, *FILES)
    assert [(each.row_count, each.is_changed) for each in again.days] == [(4, False), (3, False)]
    assert [path.stat().st_ino for path in days] == before


def test_a_day_whose_spans_are_no_longer_kept_is_not_overwritten(tmp_path: Path) -> None:
    imported(tmp_path, *FILES)
    for path in (tmp_path / "telemetry" / "_otlp").rglob("*.parquet"):
        path.unlink()
    done = imported(tmp_path, written(tmp_path / "late.jsonl", line(span())))
    assert "4 rows of it would be lost" in done.problems[0]
    assert len(predictions(tmp_path)) == 4


def test_what_cannot_be_used_is_told_by_file_and_the_rest_is_imported(tmp_path: Path) -> None:
    tomorrow = str(NOW + 86_400_000_000_000)
    path = written(
        tmp_path / "mixed.jsonl",
        line(span(1)),
        '{"resourceSpans": [{"resource"',
        '{"spans": []}',
        line(span(2, startTimeUnixNano=tomorrow, endTimeUnixNano=tomorrow), span(3)),
        line(span(4, traceId="zWE+MNjxat+Rt1hKImWx9Q==")),
        line(span(5, startTimeUnixNano="0")),
        line(span(6, endTimeUnixNano="1")),
        line(span(7, startTimeUnixNano="noon"), span(8, attributes={"ml.score": {"intValue": "many"}})),
        '{"resourceSpans": [1]}',
        line(span(9, attributes={"ml.feature.colour": {"stringValue": "\ud800"}})),
    )
    protobuf = tmp_path / "traces.binpb"
    protobuf.write_bytes(b"\x00\x00\x01\x00" + bytes(256))
    compressed = tmp_path / "traces.jsonl.gz"
    compressed.write_bytes(gzip.compress(line(span(1)).encode()))
    done = imported(tmp_path, tmp_path / "absent.jsonl", protobuf, compressed, path)
    assert [each.removeprefix(f"{tmp_path}/") for each in done.problems[:10]] == [
        "absent.jsonl: not imported: No such file or directory",
        "traces.binpb: 1 refused: a message has neither spans nor logs of OTLP (first in message 1)",
        "traces.jsonl.gz: 1 refused: the file is compressed, which is not read (first in line 1)",
        "mixed.jsonl: 2 refused: a line is not JSON; its writer may have been interrupted (first in line 2)",
        "mixed.jsonl: 1 refused: a line has neither resourceSpans nor resourceLogs, so it is not OTLP (first in line 3)",
        "mixed.jsonl: 1 refused: a time is in the future; the clock of the writer is wrong (first in line 4)",
        "mixed.jsonl: 1 refused: a trace or span id is not hexadecimal, as OTLP JSON requires (first in line 5)",
        "mixed.jsonl: 1 refused: a span or log record has no time (first in line 6)",
        "mixed.jsonl: 1 refused: a span ends before it begins (first in line 7)",
        "mixed.jsonl: 2 refused: an entry of spans is malformed (first in line 8)",
    ]
    assert [row["correlation_id"] for row in predictions(tmp_path)] == [f"{number:032x}" for number in (1, 3)]


ANYTHING = (None, True, -1, 2**70, 1.5, float("nan"), "", "a", "9" * 30, [], [1], [[]], {}, {"a": {}})


def with_anything_anywhere(content: Any) -> Iterator[Any]:
    """Copies of a JSON value with each value in it replaced by each of ANYTHING."""
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        for inner in (*ANYTHING, *with_anything_anywhere(content[key])):
            changed = content.copy()
            changed[key] = inner
            yield changed


def test_whatever_a_line_has_in_the_place_of_a_value_is_read_or_refused(tmp_path: Path) -> None:
    event = {"name": "a", "timeUnixNano": str(NOON), "attributes": [{"key": "a", "value": {"intValue": "1"}}]}
    entries = [
        single_entries(FILES[2])[-1],
        single_entries(BATCH)[0],
        line(span(1, events=[event], status={"code": 2})),
    ]
    changed = [json.dumps(each) for entry in entries for each in with_anything_anywhere(json.loads(entry))]
    path = written(tmp_path / "a.jsonl", *changed)
    found = list(read_file(path, faults := Faults(path), NOW))
    assert sum(faults.counts.values()) > 100
    assert len(found) > 100
    for entry in found:
        assert entry.name is None or isinstance(entry.name, str)
        assert all(isinstance(each, str) for each in entry.attributes)
        assert all(isinstance(each, str | float) for each in entry.attributes.values())
        times = [entry.start_ns, entry.end_ns or 1] if isinstance(entry, Span) else [entry.time_ns]
        assert all(0 < each < 2**63 for each in times)


def test_an_attribute_that_no_prediction_has_is_a_problem_and_one_that_some_lack_is_a_remark(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", line(span(1, attributes={"ml.score": {"intValue": "1"}}), span(2)))
    done = imported(tmp_path, path)
    assert [each.rpartition(": ")[2] for each in done.problems] == [
        f"2 of 2 predictions have no attribute {attribute} ({column})"
        for column, attribute in (
            ("deployment", "deployment.environment.name"),
            ("colour", "ml.feature.colour"),
            ("x", "ml.feature.x"),
        )
    ]
    assert "1 of 2 predictions have no attribute ml.score (score)" in done.remarks[0]


def test_files_in_which_nothing_is_a_prediction_are_a_problem(tmp_path: Path) -> None:
    done = imported(tmp_path, FILES[0])
    assert done.problems == ["4 traces of these files have no span inference yet, so they have no row"]


def test_labels_without_their_attribute_or_a_trace_are_refused(tmp_path: Path) -> None:
    lines = FILES[2].read_text().replace("score.value", "score.other", 1).replace('"traceId"', '"noTraceId"')
    done = imported(tmp_path, written(tmp_path / "outcomes.jsonl", lines.rstrip()))
    assert [each.partition("refused: ")[2] for each in done.problems] == [
        "a label has no attribute gen_ai.evaluation.score.value (first in line 1)",
        "a label has no trace id, and the mapping names no attribute for correlation_id (first in line 1)",
    ]


def test_an_event_of_a_span_is_a_label_too(tmp_path: Path) -> None:
    event = {
        "name": "gen_ai.evaluation.result",
        "timeUnixNano": str(NOON),
        "attributes": [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "repaid"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 1}},
        ],
    }
    imported(tmp_path, written(tmp_path / "a.jsonl", line(span(1, events=[event]))))
    [label] = pq.read_table(tmp_path / "labels" / "dt=2024-03-01" / "otlp.parquet").to_pylist()
    assert (label["correlation_id"], label["label"]) == (f"{1:032x}", 1)


def test_values_keep_what_their_type_says(tmp_path: Path) -> None:
    values = {
        "whole": {"intValue": "3"},
        "large": {"intValue": str(2**63 - 1)},
        "none": {"doubleValue": "NaN"},
        "endless": {"doubleValue": "-Infinity"},
        "yes": {"boolValue": True},
        "list": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "é"}]}},
        "map": {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": False}}]}},
        "empty": {},
    }
    path = written(tmp_path / "a.jsonl", line(span(attributes=values)))
    [found] = read_file(path, faults := Faults(path), NOW)
    assert isinstance(found, Span)
    assert not faults.counts
    assert {name: repr(value) for name, value in found.attributes.items() if name in values} == {
        "whole": "3.0",
        "large": "'9223372036854775807'",
        "none": "nan",
        "endless": "-inf",
        "yes": "'true'",
        "list": "'[1, \"é\"]'",
        "map": "'{\"a\": false}'",
    }


def test_a_column_with_texts_and_numbers_is_text_and_a_version_always_is(tmp_path: Path) -> None:
    columns = {"model_id": "ml.model.id", "model_version": "version", "name": "mixed", "place": "number"}
    mapping = MAPPING.model_copy(update={"columns": columns, "stages": {}})
    mixed = ({"intValue": "3"}, {"stringValue": "three"})
    spans = [
        span(number, attributes={"version": {"intValue": "2"}, "mixed": value, "number": {"intValue": "7"}})
        for number, value in enumerate(mixed)
    ]
    imported(tmp_path, written(tmp_path / "a.jsonl", line(*spans)), mapping=mapping)
    rows = predictions(tmp_path)
    assert [(row["model_version"], row["name"], row["place"]) for row in rows] == [("2", "3", 7), ("2", "three", 7)]


def test_a_trace_that_passes_midnight_belongs_to_the_day_of_its_prediction(tmp_path: Path) -> None:
    midnight = NOON + 43_200_000_000_000
    root = span(1, name="POST /score", startTimeUnixNano=str(midnight - 1000), endTimeUnixNano=str(midnight + 3000000))
    of_model = span(
        1,
        spanId="00000000000000ff",
        parentSpanId=f"{1:016x}",
        startTimeUnixNano=str(midnight),
        endTimeUnixNano=str(midnight + 2000000),
    )
    imported(tmp_path, written(tmp_path / "a.jsonl", line(of_model)))
    done = imported(tmp_path, written(tmp_path / "b.jsonl", line(root)))
    [row] = pq.read_table(done.days[0].path).to_pylist()
    assert done.days[0].path.parent.name == "dt=2024-03-02"
    assert row["latency_ms"] == pytest.approx(3.001)


def test_the_first_of_several_predictions_of_a_trace_counts(tmp_path: Path) -> None:
    spans = [
        span(
            1,
            spanId=f"{number:016x}",
            startTimeUnixNano=str(NOON + number),
            attributes={"ml.score": {"intValue": number}},
        )
        for number in (3, 2)
    ]
    done = imported(tmp_path, written(tmp_path / "a.jsonl", line(*spans)))
    assert [row["score"] for row in predictions(tmp_path)] == [2]
    assert "1 trace with several spans inference, the first counts" in done.remarks[0]


def test_the_query_of_predictions_reads_as_it_is_meant() -> None:
    mapping = MAPPING.model_copy(update={"columns": {"x": "ml.x", "colour": "it's"}, "latency": "inference"})
    mapping = mapping.model_copy(update={"stages": {"lookup_ms": "lookup"}})
    assert (
        predictions_query(mapping, frozenset({"it's"}))
        == """\
select
    placed_spans.id as "correlation_id",
    make_timestamp(arg_min(start_ns, place) // 1000) as "event_time",
    arg_min(end_ns - start_ns, place) filter (where name = 'inference') / 1e6 as "latency_ms",
    not bool_or(is_error and (is_prediction or is_root)) as "success",
    arg_min(coalesce("text:error.type", float_text("number:error.type")), place) as "error_kind",
    arg_min("number:ml.x", place) as "x",
    arg_min(coalesce("text:it's", float_text("number:it's")), place) as "colour",
    cast(sum(end_ns - start_ns) filter (where name = 'lookup') as bigint) / 1e6 as "lookup_ms",
    any_value(trace_id) filter (where place = 1) as "trace_id",
    any_value(span_id) filter (where place = 1) as "span_id"
from placed_spans
group by placed_spans.id
order by event_time, placed_spans.id"""
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"model_id": "a"}}, "columns: model_version must be mapped"),
        ({"stages": {"SCORE": "inference"}}, "the column score occurs twice"),
        (
            {"columns": {"model_id": "a", "model_version": "b", "x": "X", "y": "x"}},
            "the attributes X and x differ only by case",
        ),
        ({"stages": {"latency_ms": "inference"}}, "latency_ms is read from the spans"),
        ({"prediction": {"span": "a", "kind": "b"}}, "prediction.kind: unknown key"),
        ({"prediction": {"span": "a", "event": "b"}}, "a prediction is a span or an event"),
        ({"prediction": {"service": "a"}}, "span, event or where must say what a prediction is"),
        ({"labels": {"event": None}}, "where must say which log records are labels"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = written(tmp_path / "otlp.yaml", yaml.safe_dump(MAPPING.model_dump() | change))
    with pytest.raises(ConfigurationError, match=said):
        read_mapping(OtlpMapping, path, command="otlp")


def test_the_command_writes_days_and_says_what_was_refused(tmp_path: Path) -> None:
    mapping = written(tmp_path / "otlp.yaml", yaml.safe_dump(MAPPING.model_dump()))
    folders = ["--out", str(tmp_path / "telemetry"), "--labels-out", str(tmp_path / "labels")]
    command = ["import", "otlp", *map(str, FILES), "--mapping", str(mapping), *folders]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{tmp_path}/telemetry/dt=2024-03-01/otlp.parquet: 4 rows",
        f"{tmp_path}/labels/dt=2024-03-02/otlp.parquet: 3 rows",
    ]
    assert CliRunner().invoke(app, [*command, str(tmp_path)]).exit_code == 1


def test_labels_are_not_written_among_telemetry(tmp_path: Path) -> None:
    mapping = written(tmp_path / "otlp.yaml", yaml.safe_dump(MAPPING.model_dump()))
    folders = ["--out", str(tmp_path), "--labels-out", str(tmp_path)]
    done = CliRunner().invoke(app, ["import", "otlp", str(FILES[0]), "--mapping", str(mapping), *folders])
    assert isinstance(done.exception, ConfigurationError)
