"""Personal data is found, and none of it is stored, shown or logged."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import MODEL, day, write_day
from project import ROWS, Project, kept, restored

from driftlake.errors import InputError
from driftlake.lake.warehouse import Warehouse
from driftlake.privacy.personal_data import find, mask, scan_files
from driftlake.training.registration import register_folder
from jobs.launch import launch

BLOCKED = "column_holds_no_personal_data"
EMAIL, CARD, IBAN = "ada.lovelace@example.org", "4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32"
PHONE, ADDRESS, NATIONAL_ID = "+44 20 7946 0958", "203.0.113.77", "12345678Z"
CARD_NUMBER = 4_012_888_888_881_881


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (EMAIL, "email"),
        (CARD, "payment card"),
        (IBAN, "IBAN"),
        (PHONE, "phone number"),
        ("(212) 555-2187", "phone number"),
        (ADDRESS, "IP address"),
        ("2001:db8::8a2e:370:7334", "IP address"),
        ("536-90-4399", "national id"),
        ("AB 12 34 56 C", "national id"),
        (NATIONAL_ID, "national id"),
        ("X2482300W", "national id"),
        ("RCCMNL83S18D969H", "national id"),
        ("2 95 10 99 126 111 93", "national id"),
        ("36 574 261 809", "national id"),
        ("44051401359", "national id"),
        ("390.533.447-05", "national id"),
    ],
)
def test_each_kind_is_found_and_masked(value: str, kind: str) -> None:
    finding = find(["north", value])
    assert finding is not None
    assert set(finding.kinds) == {kind}
    assert mask(f"found {value}.") == f"found ({kind})."


@pytest.mark.parametrize(
    "value",
    [
        "4111 1111 1111 1112",
        "GB82 WEST 1234 5698 7654 33",
        "1.2.3.4",
        "10.0.19041.1",
        "1.3.6.1.4.1.311.200",
        "2024-03-01T12:00:00",
        "1709294400000",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "00:1b:44:11:3a:b7",
        "0012345678",
        "12345678A",
        "icon@2x.png",
    ],
)
def test_look_alikes_are_not_found(value: str) -> None:
    assert find([value]) is None


def test_a_check_that_one_random_number_in_fifty_passes_blocks_no_column_of_random_numbers() -> None:
    generator = random.Random(1)
    numbers = {f"{generator.randrange(10**16):016d}" for _ in range(2000)}
    assert any(find([number]) for number in numbers)
    assert find(numbers) is None


def test_a_chance_match_is_found_only_among_several_values() -> None:
    for kind, values in {
        "phone number": [f"212-555-21{n:02d}" for n in range(10, 20)],
        "IP address": [f"10.0.3.{n}" for n in range(10)],
    }.items():
        assert find(values[:1]) is None
        finding = find(values)
        assert finding is not None
        assert dict(finding.kinds) == {kind: 10}


def test_versions_with_large_parts_are_not_addresses() -> None:
    assert (
        find(f"{major}.0.{build}.{patch}" for major in range(90, 120) for build in (6045, 90) for patch in (71, 205))
        is None
    )


def test_a_column_is_read_whether_text_dictionary_field_or_integer(tmp_path: Path) -> None:
    columns = {
        "text": pa.array(["a", EMAIL]),
        "large": pa.array(["a", EMAIL], pa.large_string()),
        "encoded": pa.array(["a", EMAIL]).dictionary_encode(),
        "features": pa.array([{"place": "a"}, {"place": EMAIL}]),
        "number": pa.array([1, CARD_NUMBER]),
        "small": pa.array([1, 2]),
    }
    path = tmp_path / "columns.parquet"
    pq.write_table(pa.table(columns), path)
    found = scan_files(
        [str(path)], ["text", "large", "encoded", "features.place", "number", "small", "features", "absent"]
    )
    assert {name: dict(finding.kinds) for name, finding in found.items()} == {
        "text": {"email": 1},
        "large": {"email": 1},
        "encoded": {"email": 1},
        "features.place": {"email": 1},
        "number": {"payment card": 1},
    }


# a different value for each place, so that a leaked value shows where it came from
PLANTED = {
    place: f"in-{place.replace(' ', '-')}@example.org"
    for place in (
        "training feature", "training segment", "feature", "segment", "frequent value", "predicted class", "label",
        "model version", "deployment", "explained segment", "explained feature", "explained deployment",
    )
}  # fmt: skip


def _with(value: Any, place: str) -> list[Any]:
    return [value] * (ROWS - 1) + [PLANTED[place]]


def _in_training(value: str, place: str) -> list[str]:
    return [value] * 1999 + [PLANTED[place]]


def _project(root: Path, personal_data: dict[str, Any]) -> Project:
    """A multiclass model whose telemetry, labels, explanations and training data hold an address in every place."""
    project = Project(
        root,
        training={
            "reachable_at": _in_training("contact", "training feature"),
            "branch": _in_training("north", "training segment"),
        },
        lineage={"task": "multiclass", "classes": ["bus", "car"], "target": None, "score": None, "baseline": {}},
        telemetry={
            "path": "telemetry",
            "segments": ["branch", "region"],
            "high_cardinality": ["merchant", "card"],
            "shap": {"path": "explanations"},
            "personal_data": personal_data,
        },
        models={"credit": {"pairs": [["x", "reachable_at"]]}},
    )
    for number in (1, 2):
        project.telemetry(
            number,
            model_version=_with("v1", "model version")[::-1],
            colour=_with("red", "feature"),
            branch=["north"] * ROWS,
            region=_with("west", "segment"),
            merchant=_with("shop", "frequent value"),
            card=[1] * (ROWS - 1) + [CARD_NUMBER],
            predicted_class=_with("bus", "predicted class"),
            deployment=_with("shadow", "deployment"),
            reachable_at=["contact"] * ROWS,
        )
        project.labels(number, label=_with("car", "label"))
        sums = {"row_count": [ROWS] * 4, "absolute_sum": [3.0] * 4, "signed_sum": [1.0] * 4}
        write_day(
            root / "explanations", number,
            {name: [value] * 4 for name, value in MODEL.items()} | sums | {
                "deployment": ["production", "production", "production", PLANTED["explained deployment"]],
                "segment": ["all", f"region={PLANTED['explained segment']}", "all", "all"],
                "feature": ["x", "x", PLANTED["explained feature"] if number == 2 else "colour", "x"],
            },
        )  # fmt: skip
    with Warehouse.open(project.settings) as warehouse:
        assert register_folder(warehouse, project.settings).refused == []
    project.run(1, 2)
    return project


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """The project after its days have run, and everything that was logged meanwhile."""
    log = StringIO()
    handler, logger = logging.StreamHandler(log), logging.getLogger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        project = _project(tmp_path_factory.mktemp("planted") / "project", {})
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    return kept(project), log.getvalue()


@pytest.fixture
def planted(pristine: tuple[Project, str]) -> Project:
    return restored(pristine[0])


def _leaked(texts: list[str]) -> list[str]:
    planted = {**PLANTED, "card": str(CARD_NUMBER)}
    return [place for place, value in planted.items() if any(value in text for text in texts)]


def test_planted_values_would_be_stored_without_the_search(tmp_path: Path) -> None:
    # otherwise the tests below would pass without any search; features, labels and versions are stored only as bins
    stored = [repr(_project(tmp_path, {"blocked": False}).contents())]
    assert {*PLANTED, "card"} - set(_leaked(stored)) == {"feature", "label", "model version"}


def test_nothing_planted_is_stored_or_logged(planted: Project, pristine: tuple[Project, str]) -> None:
    warehouse = planted.root / "warehouse"
    texts = [path.read_bytes().decode("latin-1") for path in warehouse.rglob("*") if path.is_file()]
    texts += [str(pq.ParquetFile(path).read().to_pylist()) for path in warehouse.rglob("*.parquet")]
    texts += [
        repr(planted.contents()),
        repr(planted.rows("from training_runs")),
        repr(planted.rows("from partition_runs")),
    ]
    assert len(texts) > 10
    assert _leaked([*texts, pristine[1]]) == []


def test_nothing_planted_is_on_the_page_or_in_the_event_log_of_dagster(
    planted: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(planted.root / "dagster"))
    with warnings.catch_warnings():
        # Dagster's storage leaves SQLite connections to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        assert launch(planted.settings, [day(1), day(2)], lambda *_: None, is_forced=True) is None
    captured = capfd.readouterr()
    files = [path for name in ("dagster", "reports") for path in (planted.root / name).rglob("*") if path.is_file()]
    texts = [*(path.read_bytes().decode("latin-1") for path in files), captured.out, captured.err]
    assert BLOCKED in "".join(texts)
    assert _leaked(texts) == []
    assert _leaked([repr(planted.contents())]) == []


def test_a_column_is_blocked_and_the_day_is_not(planted: Project) -> None:
    blocked = "select source, column_name, severity, observed from contract_checks where expectation = ? and dt = ?"
    assert sorted(planted.rows(blocked, BLOCKED, day(1))) == [
        ("explanations", "deployment", "warning", "email: 1"),
        ("explanations", "segment", "warning", "email: 1"),
        ("telemetry", "card", "warning", "payment card: 1"),
        ("telemetry", "colour", "warning", "email: 1"),
        ("telemetry", "deployment", "warning", "email: 1"),
        ("telemetry", "merchant", "warning", "email: 1"),
        ("telemetry", "predicted_class", "warning", "email: 1"),
        ("telemetry", "region", "warning", "email: 1"),
    ]
    assert planted.rows("select distinct feature from feature_profile") == [("x",)]
    assert ("branch=north",) in planted.rows("select distinct segment from feature_profile")
    assert planted.rows("select outcome from current_runs where stage = 'profiles' order by dt") == [("complete",)] * 2
    assert sorted(planted.rows("select distinct deployment from prediction_profile")) == [
        ("(left out)",),
        ("shadow",),
    ]


def test_what_training_data_holds_is_reported_once_on_the_day_of_registration(planted: Project) -> None:
    with Warehouse.open(planted.settings) as warehouse:
        register_folder(warehouse, planted.settings)
    stored = (
        "select model_version, column_name, observed, dt = (registered_at at time zone 'utc')::date"
        " from contract_checks join training_runs using (model_id, model_version) where source = 'training'"
    )
    assert sorted(planted.rows(stored)) == [
        ("v1", "branch", "email: 1", True),
        ("v1", "reachable_at", "email: 1", True),
    ]
    assert planted.rows("select features from training_runs") == [(["x", "colour"],)]
    assert planted.rows("from segment_reference_profile") == []


def test_labels_are_not_counted_by_blocked_segments(tmp_path: Path) -> None:
    project = Project(tmp_path, telemetry={"path": "telemetry", "segments": ["branch", "region"]})
    project.telemetry(1, branch=["north"] * ROWS, region=_with("west", "segment"))
    project.labels(1)
    project.run(1, 1, until="label_cohorts")
    of = "select distinct segment from {} order by all"
    segments = [("all",), ("branch=north",)]
    assert project.rows(of.format("label_cohorts")) == segments
    assert project.rows(of.format("prediction_profile")) == segments


def test_an_exempt_column_is_counted(tmp_path: Path) -> None:
    telemetry = {"path": "telemetry", "segments": ["branch"], "personal_data": {"exempt": ["branch"]}}
    project = Project(tmp_path, telemetry=telemetry)
    project.telemetry(1, branch=[NATIONAL_ID] * ROWS)
    project.run(1, 1, until="profiles")
    assert (f"branch={NATIONAL_ID}",) in project.rows("select distinct segment from prediction_profile")
    assert project.rows("from contract_checks where expectation = ?", BLOCKED) == []


def test_classes_with_personal_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="email: 1"):
        Project(tmp_path, lineage={"task": "multiclass", "classes": ["bus", EMAIL], "score": None, "baseline": {}})


def uuid_text(generator: random.Random) -> str:
    return str(UUID(int=generator.getrandbits(128)))


@pytest.mark.parametrize(
    "written",
    [
        uuid_text,
        lambda generator: f"urn:uuid:{uuid_text(generator).upper()}",
        lambda generator: f"{generator.getrandbits(64):016x}",
        lambda generator: f"{generator.getrandbits(64):016x}-{generator.getrandbits(64):016x}",
    ],
    ids=["uuid", "urn", "hexadecimal", "groups"],
)
def test_no_id_among_a_hundred_thousand_is_a_payment_card(written: Callable[[random.Random], str]) -> None:
    generator = random.Random(1)
    assert not [found for _ in range(200) if (found := find([written(generator) for _ in range(500)]))]


def test_a_card_among_ids_is_found() -> None:
    generator = random.Random(1)
    found = find([CARD, *(uuid_text(generator) for _ in range(500))])
    assert found is not None
    assert found.kinds == {"payment card": 1}


def test_an_id_in_a_sentence_is_not_masked() -> None:
    uuid = "12345678-1234-4111-8111-111111111111"
    assert mask(f"{uuid} paid with {CARD}") == f"{uuid} paid with (payment card)"
