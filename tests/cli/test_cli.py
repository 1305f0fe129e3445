"""The `driftlake` command as a user meets it: data on stdout, sentences on stderr, exit codes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import driftlake
from data import GROUP, day, write_day, write_project

from driftlake.config import Settings
from driftlake.lake.warehouse import PartitionRun, Replacement, RunContext, Warehouse


def process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    code = "from driftlake.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path / "project", features=["x"], training={"x": [1.0, 2.0], "score": [0.1, 0.2]})
    return tmp_path / "project"


def settings_of(project: Path) -> Settings:
    from driftlake.config import load_settings

    return load_settings(project / "driftlake.yaml")


@pytest.fixture
def filled(project: Path) -> Path:
    """A warehouse with ten predictions of one day."""
    rows = pa.Table.from_pylist([GROUP | {"dt": day(1), "bin_id": 3, "row_count": 10, "score_sum": 1.5}])
    runs = [PartitionRun(day(1), stage, "complete", 10) for stage in ("profiles", "alerts")]
    context = RunContext("run", "0.1", "hash", datetime(2024, 3, 2, tzinfo=UTC))
    with Warehouse.open(settings_of(project)) as warehouse:
        replacement = Replacement("prediction_profile", rows, [day(1)])
        warehouse.replace_partitions([replacement], runs, context=context)
    return project


def test_a_missing_configuration_is_a_sentence_with_a_hint(tmp_path: Path) -> None:
    result = driftlake("doctor", cwd=tmp_path)
    assert result.returncode == 1
    assert "there is no configuration file" in result.stderr
    assert "hint: create one with `driftlake init`" in result.stderr


@pytest.mark.processes
def test_a_mistake_in_the_configuration_ends_with_2_and_no_stack_trace(project: Path) -> None:
    config = project / "driftlake.yaml"
    config.write_text(config.read_text() + "colour: red\n")
    result = process("sql", "select 1", cwd=project)
    assert result.returncode == 2
    assert "colour: unknown key" in result.stderr
    assert "Traceback" not in result.stderr


def test_init_then_doctor_says_what_is_still_missing(tmp_path: Path) -> None:
    assert driftlake("init", cwd=tmp_path).stdout.splitlines() == [
        "driftlake.yaml",
        "driftlake.schema.json",
        "workspace.yaml",
    ]
    result = driftlake("doctor", cwd=tmp_path)
    assert "telemetry.path: there is no folder" in result.stderr


def test_doctor_names_a_file_with_a_wrong_mapping(project: Path) -> None:
    path = write_day(project / "telemetry", 1, {"request_id": ["a"]})
    result = driftlake("doctor", cwd=project)
    assert result.returncode == 1
    assert f"{path} has no column correlation_id" in result.stderr
    assert "map your column names under telemetry.columns" in result.stderr


def test_lineage_add_registers_once(project: Path) -> None:
    first = driftlake("lineage", "add", "lineage/credit-v1.yaml", cwd=project)
    again = driftlake("lineage", "add", "lineage/credit-v1.yaml", cwd=project)
    assert first.stdout == "credit v1: registered\n  features: x (number)\n"
    assert again.stdout == "credit v1: already registered, unchanged\n  features: x (number)\n"


def test_days_outside_the_partitions_are_refused(project: Path) -> None:
    result = driftlake("run", "--date", "2001-01-01", cwd=project)
    assert result.returncode == 2
    assert "2001-01-01 to 2001-01-01 is not a range of partition days, which go from 2024-03-01 to" in result.stderr


QUERY = "select dt, row_count, score_sum from prediction_profile"


@pytest.mark.processes
def test_sql_answers_as_csv_and_json(filled: Path) -> None:
    as_csv = process("sql", QUERY, "--format", "csv", cwd=filled).stdout
    assert list(csv.DictReader(io.StringIO(as_csv))) == [{"dt": "2024-03-01", "row_count": "10", "score_sum": "1.5"}]
    as_json = driftlake("sql", QUERY, "--format", "json", cwd=filled).stdout
    assert json.loads(as_json) == {"dt": "2024-03-01", "row_count": 10, "score_sum": 1.5}


def test_sql_writes_parquet(filled: Path) -> None:
    driftlake("sql", QUERY, "--format", "parquet", "--out", "rows.parquet", cwd=filled)
    assert pq.read_table(filled / "rows.parquet")["row_count"].to_pylist() == [10]


def test_sql_reads_statements_from_stdin_and_goes_on_after_an_error(filled: Path) -> None:
    result = driftlake("sql", cwd=filled, stdin="select nothing;\nselect 40 +\n2 as answer;\n")
    assert 'Referenced column "nothing"' in result.stderr
    assert "42" in result.stdout


def test_sql_cannot_write(filled: Path) -> None:
    result = driftlake("sql", "delete from prediction_profile", cwd=filled)
    assert result.returncode == 2
    assert "statement of kind delete" in result.stderr


def test_a_day_without_alerts_says_so_and_prints_no_data(filled: Path) -> None:
    result = driftlake("alerts", "--format", "json", cwd=filled)
    assert (result.returncode, result.stdout) == (0, "")
    assert "no alerts on 2024-03-01" in result.stderr


def test_a_day_without_predictions_has_no_verdicts(filled: Path) -> None:
    result = driftlake("verdict", "--date", "2024-03-01", "--format", "csv", cwd=filled)
    assert result.returncode == 0
    assert result.stdout == "verdict,model_id,model_version,deployment,tier,since_on,sentence,incident_id\n"


def test_a_rule_is_muted_with_a_reason_and_an_end(filled: Path) -> None:
    said = ("alerts", "mute", "score-drift", "--until", "2024-03-05", "--reason", "new cut", "--by", "ann")
    assert driftlake(*said, cwd=filled).stdout == "mute rule score-drift from 2024-03-01 until 2024-03-05\n"
    result = driftlake("sql", "select reason, acted_by from alert_actions", "--format", "csv", cwd=filled)
    assert list(csv.reader(io.StringIO(result.stdout))) == [["reason", "acted_by"], ["new cut", "ann"]]


def test_an_incident_that_is_not_open_cannot_be_shown(filled: Path) -> None:
    result = driftlake("alerts", "show", "3f9a", cwd=filled)
    assert (result.returncode, "have an id that begins with 3f9a" in result.stderr) == (2, True)


def test_a_report_of_a_day_that_was_not_processed_says_what_to_run(filled: Path) -> None:
    result = driftlake("report", "--date", "2024-03-09", cwd=filled)
    assert result.returncode == 2
    assert "driftlake backfill --from 2024-03-09 --to 2024-03-09" in result.stderr
