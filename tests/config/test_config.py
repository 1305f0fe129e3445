"""driftlake.yaml: what is refused, and the messages."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from driftlake.config import AlertRule, load_settings
from driftlake.errors import ConfigurationError
from driftlake.maths.drift_statistics import STATISTICS
from driftlake.setup.scaffold import write_configuration

SMALLEST = """\
telemetry: {path: telemetry}
labels: {path: labels}
lineage: {path: lineage}
start: 2024-03-01
"""


def write(folder: Path, text: str) -> Path:
    for name in ("telemetry", "labels", "lineage"):
        (folder / name).mkdir(exist_ok=True)
    path = folder / "driftlake.yaml"
    path.write_text(text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, require_inputs=True)
    return caught.value.message


def test_the_smallest_configuration_is_enough(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, SMALLEST)).drift.windows_days == (1, 7, 28)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, SMALLEST))
    assert settings.resolve("telemetry") == str(tmp_path / "telemetry")
    assert settings.resolve("s3://bucket/telemetry") == "s3://bucket/telemetry"


def test_an_unknown_key_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "drift:\n  window_days: [1]\n")
    assert refusal(path) == f"{path}:6: drift.window_days: unknown key"


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "schedule: {hour: 25}\nquality: {minimum_labels_per_class: many}\n")
    assert [line.split(": ")[1] for line in refusal(path).splitlines()] == [
        "schedule.hour",
        "quality.minimum_labels_per_class",
    ]


def test_a_bad_value_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "schedule:\n  timezone: Mars/Olympus\n")
    assert refusal(path).startswith(f"{path}:6: schedule.timezone: 'Mars/Olympus' is not a time zone")


def test_a_missing_folder_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST.replace("{path: labels}", "{path: lables}"))
    assert refusal(path) == f"{path}:2: labels.path: there is no folder {tmp_path / 'lables'}"


def test_a_rule_about_a_window_that_is_not_measured_is_refused(tmp_path: Path) -> None:
    rule = "alerts:\n  - {name: drift, signal: feature_drift.psi, window_days: 5, warn: 0.1, critical: 0.2}\n"
    path = write(tmp_path, SMALLEST + rule)
    assert refusal(path) == (
        f"{path}:6: alerts.0.window_days: feature_drift.psi is measured over 1, 7, 28 days, found 5"
    )


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("signal: feature_drift.hellinger_distance", "signal: drift.statistics computes psi, kl_divergence"),
        (
            "signal: feature_drift.psi, references: [champoin]",
            "references: there is no reference champoin in drift.references, which has training",
        ),
        (
            "signal: feature_drift.psi, opening_reference: preceding",
            "opening_reference: there is no reference preceding in drift.references",
        ),
    ],
)
def test_a_rule_that_could_never_fire_is_refused(tmp_path: Path, rule: str, problem: str) -> None:
    path = write(tmp_path, SMALLEST + f"alerts:\n  - {{name: drift, {rule}, warn: 0.1, critical: 0.2}}\n")
    assert refusal(path).startswith(f"{path}:6: alerts.0.{problem}")


def test_rules_are_a_list_or_stand_in_a_mapping(tmp_path: Path) -> None:
    rule = "{name: drift, signal: feature_drift.psi, warn: 0.1, critical: 0.2"
    listed = load_settings(write(tmp_path, SMALLEST + f"alerts: [{rule}}}]\n"))
    mapped = load_settings(write(tmp_path, SMALLEST + f"alerts:\n  false_pages_per_year: 2\n  rules: [{rule}}}]\n"))
    assert listed.alert_rules == mapped.alert_rules
    assert (listed.false_pages_per_year, mapped.false_pages_per_year) == (1, 2)
    path = write(tmp_path, SMALLEST + f"alerts:\n  rules:\n    - {rule}, colour: red}}\n")
    assert refusal(path) == f"{path}:7: alerts.rules.0.colour: unknown key"


def test_a_rule_has_the_kind_and_paging_of_its_signal_unless_configured() -> None:
    rule = {"name": "r", "warn": 1, "critical": 1}
    drift, blind = (AlertRule(signal=name, **rule) for name in ("feature_drift.psi", "label_backlog.overdue_share"))
    assert (drift.effective_kind, drift.is_paging, blind.effective_kind, blind.is_paging) == (
        "drift",
        False,
        "blind",
        True,
    )
    said = AlertRule(signal="feature_drift.psi", kind="harm", pages=False, **rule)
    assert (said.effective_kind, said.is_paging) == ("harm", False)
    assert AlertRule(signal="feature_drift.psi", pages=True, **rule).is_paging


def test_the_time_zone_changes_the_hash(tmp_path: Path) -> None:
    plain = load_settings(write(tmp_path, SMALLEST)).config_hash
    assert load_settings(write(tmp_path, SMALLEST + "schedule: {hour: 5}\n")).config_hash == plain
    assert load_settings(write(tmp_path, SMALLEST + "schedule: {timezone: Asia/Tokyo}\n")).config_hash != plain


def test_pages_are_written_to_this_machine(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "reports: {path: s3://lake/pages}\n")
    assert "reports must be written to a local folder" in refusal(path)


def test_the_default_rules_use_the_configured_windows(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, SMALLEST + "drift: {windows_days: [1, 14]}\n"))
    assert {rule.name: rule.window_days for rule in settings.alert_rules}["feature-drift"] == 1


def test_broken_yaml_is_a_sentence(tmp_path: Path) -> None:
    assert "is not valid YAML" in refusal(write(tmp_path, "telemetry: {path: [}"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SMALLEST.replace("03-01", "02-30"), "driftlake.yaml:4: start: day is out of range for month, found 2024-02-30"),
        (SMALLEST + f"schedule: {{hour: {'9' * 5000}}}", "driftlake.yaml:5: schedule.hour: is a number with too many digits"),
        (SMALLEST + f"schedule: {{hour: 0x{'f' * 5000}}}", "driftlake.yaml:5: schedule.hour: is a number with too many"),
        (SMALLEST + "drift: " + "[" * 100_000, "driftlake.yaml is not valid YAML: line 5: it is nested more than 50 deep"),
        (SMALLEST + "drift: " + "{a: " * 60, "driftlake.yaml is not valid YAML: line 5: it is nested more than 50 deep"),
        (SMALLEST + "drift: &a {b: *a}", "driftlake.yaml is not valid YAML: line 5: an alias refers to the value that contains it"),
        (
            SMALLEST + "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(40)),
            "driftlake.yaml is not valid YAML: line 21: it has more than 200,000 values",
        ),
        (SMALLEST + 'reports: {url: "\\ud800"}', "driftlake.yaml:5: reports.url: contains an unpaired surrogate"),
        ("- telemetry", "driftlake.yaml must be a mapping of keys to values, found list"),
        ("", "driftlake.yaml must be a mapping of keys to values, found NoneType"),
        ("\x1b", "driftlake.yaml is not valid YAML: unacceptable character"),
    ],
    ids=lambda text: text[-20:],
)  # fmt: skip
def test_an_unreadable_yaml_value_is_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    said = refusal(write(tmp_path, text))
    assert problem in said
    assert "\n" not in said
    assert len(said) < len(str(tmp_path)) + 300


def test_a_configuration_in_another_encoding_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST)
    path.write_bytes("# größer\n".encode("latin-1"))
    assert "driftlake.yaml cannot be read: 'utf-8' codec" in refusal(path)


def test_settings_that_change_no_number_do_not_change_the_hash(tmp_path: Path) -> None:
    plain = load_settings(write(tmp_path, SMALLEST)).config_hash
    assert load_settings(write(tmp_path, SMALLEST + "compute: {threads: 1}\n")).config_hash == plain
    assert load_settings(write(tmp_path, SMALLEST + "drift: {smoothing: 1}\n")).config_hash != plain


def test_init_writes_a_configuration_that_its_own_schema_accepts(tmp_path: Path) -> None:
    config, schema, *_ = write_configuration(tmp_path)
    content = json.loads(json.dumps(yaml.safe_load(config.read_text()), default=str))
    jsonschema.validate(content, json.loads(schema.read_text()))


def test_the_commented_defaults_of_init_are_the_defaults(tmp_path: Path) -> None:
    config, *_ = write_configuration(tmp_path)
    for folder in ("telemetry", "labels", "lineage"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    as_written = load_settings(config)
    lines = config.read_text().splitlines()
    shown = [line for line in lines if not line.startswith("# ") or line.startswith(("# drift:", "#   ", "# quality:"))]
    wanted = "\n".join(line.removeprefix("# ") if line.startswith("# ") else line for line in shown)
    wanted = wanted.split("  my_model:")[0] + "\ndrift:" + wanted.split("\ndrift:")[1].split("  - name:")[0]
    config.write_text(wanted)
    uncommented = load_settings(config)
    assert uncommented.drift == as_written.drift
    assert uncommented.quality == as_written.quality


def test_init_does_not_replace_a_configuration(tmp_path: Path) -> None:
    write_configuration(tmp_path)
    with pytest.raises(ConfigurationError, match="already exists"):
        write_configuration(tmp_path)


OWN_STATISTIC = """\
from driftlake.maths.drift_statistics import Statistic, register_statistic, resampled

def largest_gain(current, reference):
    return float((current / current.sum() - reference / reference.sum()).max())

register_statistic(Statistic("largest_gain", resampled(largest_gain), ("categorical",), 0.1, 0.2, "", "", "", ""))
"""


def test_an_extension_registers_statistics_that_the_file_may_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftlake.maths.drift_statistics.STATISTICS", dict(STATISTICS))
    (tmp_path / "own.py").write_text(OWN_STATISTIC)
    drift = "drift: {extensions: [own.py], statistics: {categorical: [psi, largest_gain]}}\n"
    settings = load_settings(write(tmp_path, SMALLEST + drift))
    assert settings.drift.thresholds_of("largest_gain") == (0.1, 0.2)


@pytest.mark.parametrize(
    ("text", "problem"), [(None, "there is no file"), ("import nothing_of_this_name", "ModuleNotFoundError")]
)
def test_an_extension_that_is_missing_or_fails_is_named(tmp_path: Path, text: str | None, problem: str) -> None:
    if text:
        (tmp_path / "own.py").write_text(text)
    message = refusal(write(tmp_path, SMALLEST + "drift: {extensions: [own.py]}\n"))
    assert "own.py" in message
    assert problem in message


@pytest.mark.parametrize(
    ("drift", "problem"),
    [
        ("statistics: {numeric: [psy]}", "there is no statistic 'psy'"),
        ("statistics: {numeric: [g_statistic]}", "not defined for numeric features"),
        ("references: [{name: good, first_day: 2024-03-02, last_day: 2024-03-01}]", "must not be before"),
        ("references: [training, preceding, training]", "name used twice: training"),
        ("references: [{name: preceding, model_version: v1}]", "a built-in reference"),
        ("references: [{name: training, first_day: 2024-03-01, last_day: 2024-03-02}]", "a built-in reference"),
    ],
)
def test_invalid_drift_settings_are_named(tmp_path: Path, drift: str, problem: str) -> None:
    assert problem in refusal(write(tmp_path, SMALLEST + f"drift: {{{drift}}}\n"))


def test_a_signal_of_an_unknown_statistic_is_refused(tmp_path: Path) -> None:
    rule = "alerts: [{name: a, signal: feature_drift.psy, warn: 1, critical: 1}]\n"
    assert "there is no statistic 'psy'" in refusal(write(tmp_path, SMALLEST + rule))


@pytest.mark.parametrize(
    ("added", "where"),
    [("start: 2024-03-02\n", "line 5: key start is defined twice, first in line 4"),
     ("drift:\n  windows_days: [1]\n  windows_days: [7]\n", "line 7: key windows_days is defined twice, first in line 6"),
     ("drift: {windows_days: [1], windows_days: [7]}\n", "line 5: key windows_days is defined twice, first in line 5")],
)  # fmt: skip
def test_a_key_that_is_defined_twice_is_refused_with_both_lines(tmp_path: Path, added: str, where: str) -> None:
    path = write(tmp_path, SMALLEST + added)
    assert refusal(path) == f"{path} is not valid YAML: {where}"


@pytest.mark.parametrize("key", ["PASSWORD", "password", "Password ", "sslpassword"])
def test_a_password_in_the_catalog_is_refused_and_not_printed(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, SMALLEST + f"warehouse: {{catalog: 'postgres:host=db {key}=hunter2'}}\n")
    message = refusal(path)
    assert "without a password" in message
    assert "hunter2" not in message
