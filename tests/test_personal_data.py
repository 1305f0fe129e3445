"""Personal data: what is found, and that nothing of it is stored, shown or logged."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from data import day
from project import Project

from driftlake.personal_data import find, mask
from jobs.launch import launch

EMAIL, CARD, IBAN = "ada.lovelace@example.org", "4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32"
PHONE, ADDRESS = "+44 20 7946 0958", "203.0.113.77"
PLANTED = [EMAIL, CARD, IBAN, PHONE, ADDRESS]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (EMAIL, "email"),
        (CARD, "payment card"),
        (IBAN, "IBAN"),
        (PHONE, "phone number"),
        (ADDRESS, "IP address"),
        ("2001:db8::8a2e:370:7334", "IP address"),
        ("(212) 555-0187", None),
        ("(212) 555-2187", "phone number"),
        ("078-05-1120", "national id"),
        ("12345678Z", "national id"),
        ("AB 12 34 56 C", "national id"),
    ],
)
def test_each_kind_is_found_and_masked(value: str, kind: str | None) -> None:
    finding = find([value])
    expected = kind or "phone number"
    assert finding is not None
    assert dict(finding.kinds) == {expected: 1}
    assert mask(f"found {value}.") == f"found ({expected})."


@pytest.mark.parametrize(
    "value",
    [
        "4111 1111 1111 1112",
        "GB82 WEST 1234 5698 7654 33",
        "1.2.3.4",
        "10.0.19041.1",
        "2024-03-01T12:00:00",
        "1709294400000000",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "00:1b:44:11:3a:b7",
        "0012345678",
        "12345678A",
    ],
)
def test_look_alikes_are_not_found(value: str) -> None:
    assert find([value]) is None


@pytest.fixture
def planted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Project:
    caplog.set_level(logging.DEBUG)
    places = ["contact"] * 1999 + [EMAIL]
    project = Project(
        tmp_path,
        training={"reachable_at": places, "branch": ["north"] * 1999 + [CARD]},
        telemetry={"path": "telemetry", "segments": ["branch"], "high_cardinality": ["merchant"]},
    )
    project.telemetry(
        1, colour=["red"] * 299 + [IBAN], branch=["north"] * 299 + [PHONE], merchant=["shop"] * 299 + [ADDRESS],
        reachable_at=[EMAIL] * 300,
    )  # fmt: skip
    project.run(1, 1)
    return project


def test_nothing_planted_is_stored_or_logged(planted: Project, caplog: pytest.LogCaptureFixture) -> None:
    warehouse = planted.root / "warehouse"
    texts = [path.read_bytes().decode("latin-1") for path in warehouse.rglob("*") if path.is_file()]
    texts += [str(pq.ParquetFile(path).read().to_pylist()) for path in warehouse.rglob("*.parquet")]
    texts += [repr(planted.contents()), caplog.text]
    assert len(texts) > 10
    assert [value for value in PLANTED if any(value in text for text in texts)] == []


def test_nothing_planted_is_on_the_page_or_in_the_event_log_of_dagster(
    planted: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(planted.root / "dagster"))
    with warnings.catch_warnings():
        # Dagster's storage leaves SQLite connections to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        assert launch(planted.settings, [day(1)], lambda *_: None, is_forced=True) is None
    captured = capfd.readouterr()
    files = [path for name in ("dagster", "reports") for path in (planted.root / name).rglob("*") if path.is_file()]
    texts = [*(path.read_bytes().decode("latin-1") for path in files), captured.out, captured.err]
    assert "column_holds_no_personal_data" in "".join(texts)
    assert [value for value in PLANTED if any(value in text for text in texts)] == []


def test_a_column_is_blocked_and_the_day_is_not(planted: Project) -> None:
    blocked = "select column_name, severity, unexpected_count, observed from contract_checks where expectation = ?"
    assert sorted(planted.rows(blocked, "column_holds_no_personal_data")) == [
        ("branch", "warning", 1, "phone number: 1"),
        ("colour", "warning", 1, "IBAN: 1"),
        ("merchant", "warning", 1, "IP address: 1"),
    ]
    assert planted.rows("select distinct feature from feature_profile") == [("x",)]
