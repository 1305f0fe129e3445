"""The doctor reports what a run would silently ignore."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from data import day, write_day, write_project
from project import ROWS, Project, outcomes

from driftlake.config import TELEMETRY, load_settings
from driftlake.errors import InputError
from driftlake.inputs import partitions
from driftlake.setup import input_report
from driftlake.setup.doctor import examine
from driftlake.setup.findings import Finding
from driftlake.setup.scaffold import write_configuration
from driftlake.setup.workspace import examine_workspace
from driftlake.training import learning


def unwell(root: Path, **sections: object) -> dict[str, str]:
    """Message of every finding that is not well, by subject."""
    write_project(root, features=["x"], training={"x": [1.0, 2.0], "score": [0.1, 0.2]})
    config = root / "driftlake.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | sections))
    return {finding.subject: finding.message for finding in examine(config) if not finding.is_well}


def test_settings_of_a_model_without_lineage_are_named(tmp_path: Path) -> None:
    assert unwell(tmp_path, models={"credits": {"decision_cut": 0.3}})["models"] == "no lineage file has credits"


def test_a_reference_version_without_lineage_is_named(tmp_path: Path) -> None:
    references = ["training", {"name": "champion", "model_version": "v0"}]
    assert unwell(tmp_path, drift={"references": references})["drift.references"] == "no lineage file has v0"


def test_a_rule_about_a_feature_that_no_version_has_is_named(tmp_path: Path) -> None:
    rule = {"name": "drift", "signal": "feature_drift.psi", "warn": 0.1, "critical": 0.2, "features": ["x", "z"]}
    assert unwell(tmp_path, alerts=[rule])["alerts drift"] == "no lineage file has z"


def test_folders_without_files_fail_the_check(tmp_path: Path) -> None:
    nested = tmp_path / "deliveries" / "dt=2024-03-01" / "hour=01"
    nested.mkdir(parents=True)
    found = unwell(tmp_path / "project", telemetry={"path": "../deliveries"})
    assert found["telemetry"] == "there are no rows in the last 1 of 1 days"


def test_sums_of_shap_values_are_checked_like_other_sources(tmp_path: Path) -> None:
    (tmp_path / "shap").mkdir()
    found = unwell(tmp_path, telemetry={"path": "telemetry", "shap": {"path": "shap"}})
    assert found["explanations"] == f"{tmp_path / 'shap'} is empty"


def test_an_unused_suite_is_named(tmp_path: Path) -> None:
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "telemtry.json").write_text("{}")
    assert unwell(tmp_path)["contracts.suites"].startswith("nothing reads telemtry.json")


def test_a_file_that_is_not_a_suite_is_named(tmp_path: Path) -> None:
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "telemetry.json").write_text("{}")
    assert "telemetry.json is not a suite" in unwell(tmp_path)["contracts.suites"]


def examined(project: Project) -> dict[str, tuple[bool, str]]:
    return {finding.subject: (finding.is_well, finding.message) for finding in examine(project.root / "driftlake.yaml")}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A day of predictions with its labels, which are yes where the score is high, and no column listed as a feature."""
    project = Project(
        tmp_path_factory.mktemp("labelled") / "p",
        lineage={"features": None},
        labels={"path": "labels", "positive": "yes", "negative": "no"},
    )
    scores = np.random.default_rng(3).random(ROWS)
    project.telemetry(1, score=scores)
    project.labels(2, 1, label=np.where(scores > 0.4, "yes", "no"))
    return project


def test_features_labels_and_scores_are_reported(labelled: Project) -> None:
    found = examined(labelled)
    assert found["credit v1"] == (True, "features: x (number), colour (category)")
    assert found["telemetry versions"] == (True, "credit v1 (300 rows)")
    assert found["label encoding"] == (True, "credit v1: 1 is positive, 0 is negative")
    is_well, values = found["label values"]
    assert is_well
    assert values.startswith("1 (")
    is_well, score = found["score of credit v1"]
    assert is_well
    assert "AUC 1.000 over 300 labels" in score


def test_each_file_is_opened_once(labelled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    for module in (partitions, learning):
        read = module.read_footer
        monkeypatch.setattr(
            module, "read_footer", lambda file, dt, read=read: opened.append(file.path) or read(file, dt)
        )
    examined(labelled)
    assert len(opened) == 3
    assert len(set(opened)) == 3


def test_text_labels_pass_if_the_target_is_text(tmp_path: Path) -> None:
    target = {"x": [1.0, 2.0], "score": [0.1, 0.2], "target": ["0", "1"]}
    write_project(tmp_path / "p", features=["x"], training=target, lineage={"target": "target"})
    write_day(tmp_path / "p" / "labels", 1, {"correlation_id": ["a", "b", "c"], "label": ["yes", "0", "1.0"]})
    found = {finding.subject: finding for finding in examine(tmp_path / "p" / "driftlake.yaml")}
    assert found["label values"].message == "1 (2 rows), 0 (1 row)"
    assert found["label values"].is_well
    assert "labels files" not in found


def test_predictions_of_an_unknown_version_fail_the_check(labelled: Project) -> None:
    path = labelled.telemetry(3, model_version=["v1 "] * ROWS)
    is_well, message = examined(labelled)["telemetry versions"]
    path.unlink()
    assert not is_well
    assert message == "no lineage file has credit 'v1 ' (300 rows): these rows are not counted"


def test_labels_that_no_model_counts_fail_the_check(labelled: Project) -> None:
    path = labelled.labels(3, 1, label=["maybe"] * ROWS)
    is_well, message = examined(labelled)["label values"]
    path.unlink()
    assert not is_well
    assert "300 rows with a label that no model counts" in message


def test_the_report_says_how_mixed_folders_were_understood_and_the_run_counts_them(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    folder = project.root / "telemetry"
    for number, name in ((1, "dt=20240301/hour=03"), (2, "dt=2024-3-2"), (3, "year=2024")):
        path = project.telemetry(number)
        moved = folder / name / path.name
        moved.parent.mkdir(parents=True, exist_ok=True)
        path.rename(moved)
        path.parent.rmdir()
    # a second folder of a day, another ending, features that exist only in folder names
    ending = project.telemetry(2, name="more", correlation_id=["a", "b"], colour=None, x=None)
    (ending.parent / "colour=red" / "x=0.50").mkdir(parents=True)
    ending.rename(ending.parent / "colour=red" / "x=0.50" / "more.pq")
    for name in (
        "dt=2024-3-2/notes.txt",
        "dt=2024-3-2/_staged.parquet",
        "dt=2024-3-2/old/a.parquet",
        "dt=soon/a.parquet",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x" * 20)
    project.labels(2, predicted=1)
    month = project.root / "labels" / "year=2024" / "month=3"
    month.mkdir(parents=True)
    (project.root / "labels" / f"dt={day(2)}").rename(month / "day=2")

    found = {finding.subject: finding for finding in examine(project.root / "driftlake.yaml")}
    assert found["telemetry"].message.startswith("2 days, 2024-03-01 to 2024-03-02, in dt=")
    assert "dt=YYYYMMDD/hour=.../" in found["telemetry"].message
    assert found["telemetry rows"].message == "602 in the last 2 days: 2024-03-01 300, 2024-03-02 302"
    skipped = found["telemetry skipped"]
    assert not skipped.is_well
    for part in (
        "dt=soon (its name contains no day)",
        "old (1 file in a folder that is neither key=value",
        "year=2024 (1 file in it",
    ):
        assert part in skipped.message
    assert "_staged" not in skipped.message
    assert "hour string" in found["telemetry columns"].message
    assert found["labels"].message == "1 day, 2024-03-02 to 2024-03-02, in year=YYYY/month=MM/day=DD/"
    assert found["labels matched"].message.startswith("300 of 300 ids of labels of 2024-03-02 are among")
    assert found["training credit v1"].message == "2,000 rows in 1 file: x double, colour string, score double"

    reports = project.run(1, 2, until="label_cohorts")
    assert [set(outcomes(report).values()) for report in reports] == [{"complete"}, {"complete", "empty"}]
    counted = "select dt, sum(row_count) from feature_profile where feature = 'colour' group by dt order by dt"
    assert project.rows(counted) == [(day(1), 300), (day(2), 302)]
    assert project.rows(
        "select row_count, missing_count from feature_stats where feature = 'x' and dt = ?", day(2)
    ) == [(302, 0)]
    assert not project.rows("from schema_changes where comparison = 'training'")


def test_ids_that_match_no_prediction_are_reported_by_their_form(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1)
    project.labels(1, correlation_id=[f"ID_{row}" for row in range(300)])
    found = {finding.subject: finding for finding in examine(project.root / "driftlake.yaml")}["labels matched"]
    assert found.message == "0 of 300 ids of labels of 2024-03-01 are among the predictions of 2024-03-01 to 2024-03-01"
    assert "ids of labels look like aa_9" in str(found.hint)
    assert "those of predictions like a9-9" in str(found.hint)


def test_a_folder_without_a_recognised_day_fails_the_check(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1).parent.rename(project.root / "telemetry" / "dt=soon")
    found = {finding.subject: finding for finding in examine(project.root / "driftlake.yaml")}["telemetry"]
    assert "nothing in" in found.message
    assert "dt=soon" in found.message
    with pytest.raises(InputError, match="is recognised as a day"):
        project.run(1, 1, until="profiles")


def test_a_day_with_only_skipped_files_names_them(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    path = project.telemetry(1)
    path.rename(path.with_suffix(".csv"))
    [report] = project.run(1, 1, until="profiles")
    assert outcomes(report) == {day(1): "missing"}
    reasons = project.rows("select reason from current_runs where stage = 'profiles'")
    assert "part-0.csv (*.csv is not a Parquet file)" in reasons[0][0]


BOMB = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("load_from: [", "is not valid YAML: line 1: "),
        ("a: &a [x, x, x, x, x, x, x, x, x]\n" + BOMB, "is not valid YAML: line 6: it has more than 200,000 values"),
        ("[]", "has no list `load_from`"),
        ("load_from: [{python_module: jobs.definition}]", "has no location with the module jobs.definitions"),
        (
            "load_from: [{python_module: {module_name: jobs.definitions, working_directory: gone}}]",
            "says that jobs.definitions is in gone, but it does not exist there",
        ),
    ],
)
def test_a_workspace_from_which_dagster_loads_nothing_fails_the_check(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "workspace.yaml").write_text(content)
    assert message in unwell(tmp_path)["workspace"]


def test_the_workspace_that_init_writes_passes(tmp_path: Path) -> None:
    write_configuration(tmp_path)
    finding = examine_workspace(load_settings(tmp_path / "driftlake.yaml"))
    assert (finding.is_well, finding.message) == (True, f"{tmp_path / 'workspace.yaml'} loads this driftlake")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project without telemetry."""
    return Project(tmp_path_factory.mktemp("doctor") / "project")


OTLP, FEAST = (Path(__file__).parent.parent / name for name in ("otlp", "feast"))


def copied(folder: Path, *files: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize(
    ("files", "command", "mapped"),
    [
        ([OTLP / "scorer.jsonl", OTLP / "gateway.jsonl"], "otlp {}/*.jsonl", "span: inference"),
        ([OTLP / "batch.jsonl"], "otlp {}/batch.jsonl", "event: credit.scored"),
        ([OTLP / "scorer.binpb"], "otlp {}/scorer.binpb", "span: inference"),
        ([OTLP / "outcomes.jsonl"], "otlp {}/outcomes.jsonl", "has to be imported"),
        (sorted((FEAST / "logs").iterdir()), "feast {}", "x: customer_stats__x"),
    ],
)
@pytest.mark.parametrize("day_folder", ["", "dt=2024-03-01"])
def test_files_to_import_are_reported_with_the_command_and_a_mapping(
    project: Project, tmp_path: Path, files: list[Path], command: str, mapped: str, day_folder: str
) -> None:
    folder = copied(tmp_path / day_folder, *files)
    examined = input_report.examine_input(project.settings, TELEMETRY, str(tmp_path))
    found = [examined] if isinstance(examined, Finding) else list(input_report.lines(examined))
    [proposed] = [finding for finding in found if finding.hint and "driftlake import" in finding.hint]
    kind, _, argument = command.partition(" ")
    assert not proposed.is_well
    assert f"`driftlake import {kind} {argument.format(folder)} --propose > {kind}.yaml`" in str(proposed.hint)
    # Feast's files in folders of days are refused, each with its columns
    assert mapped in proposed.message or "it is a log of a Feast feature service" in proposed.message


def test_an_otlp_file_in_the_place_of_labels_is_reported(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", labels={"path": str(OTLP / "batch.jsonl")})
    found = {finding.subject: finding for finding in examine(project.root / "driftlake.yaml")}["labels"]
    assert f"{OTLP / 'batch.jsonl'} is OTLP (OpenTelemetry)" in found.message
    assert "correlation_id: request.id" in found.message


def test_a_run_says_how_to_import_telemetry_that_it_cannot_read(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", telemetry={"path": "raw"})
    folder = copied(project.root / "raw", OTLP / "scorer.jsonl")
    with pytest.raises(InputError, match=f"{folder}/scorer.jsonl is OTLP") as raised:
        project.run(1, 1, until="profiles")
    assert f"driftlake import otlp {folder}/scorer.jsonl --propose" in str(raised.value.hint)
    shutil.copytree(folder, folder / "dt=2024-03-01")
    copied(folder / "dt=2024-03-02", *(FEAST / "logs").iterdir())
    project.run(1, 2, until="profiles")
    reasons = project.rows("select reason from current_runs where stage = 'profiles' order by dt")
    assert "driftlake import otlp" in reasons[0][0]
    assert "it is a log of a Feast feature service, which `driftlake import feast` reads" in reasons[1][0]
