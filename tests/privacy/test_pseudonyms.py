"""Pseudonyms: the hash, the keys and their rotation; no row is lost, and no secret is printed."""

from __future__ import annotations

import hashlib
import hmac
import os
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import write_project
from typer.testing import CliRunner

from driftlake.cli import app
from driftlake.config import Settings
from driftlake.errors import ConfigurationError, InputError
from driftlake.privacy import pseudonyms
from driftlake.privacy.pseudonyms import Written, pseudonymize_files

OLD, NEW = "o" * 32, "n" * 32
KEYS = [
    {"id": "old", "env": "OLD_KEY", "valid_from": date(2024, 1, 1), "valid_until": date(2024, 3, 2)},
    {"id": "new", "file": "new.key", "valid_from": date(2024, 3, 2)},
]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("OLD_KEY", OLD)
    key = tmp_path / "new.key"
    key.write_text(NEW + "\n")
    key.chmod(0o600)
    keys = {"column": "user_id", "keys": KEYS}
    return write_project(tmp_path, features=["x"], training={"x": [1.0], "score": [0.5]}, pseudonyms=keys)


def _raw(root: Path, number: int, **columns: Any) -> Path:
    path = root / "raw" / f"dt=2024-03-{number:02d}" / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {"before": [1, 2, 3, 4], "user_id": ["ann", "bob", None, "ann"], "after": ["a", "b", "c", "d"]} | columns
    pq.write_table(
        pa.table({name: values for name, values in rows.items() if values is not None}), path, row_group_size=2
    )
    return path


def _hash(key: str, identifier: str) -> str:
    return hmac.new(key.encode(), identifier.encode(), hashlib.sha256).hexdigest()


def _run(settings: Settings, source: Path, target: Path, day: date | None = None) -> list[Written]:
    return list(pseudonymize_files(settings, source, target, day))


def test_identifiers_become_keyed_hashes_and_nothing_else_changes(tmp_path: Path, settings: Settings) -> None:
    path = _raw(tmp_path, 1)
    [written] = _run(settings, tmp_path / "raw", tmp_path / "out")
    assert written == Written(tmp_path / "out" / "dt=2024-03-01" / "part-0.parquet", 4, ["old"])
    ann, bob = _hash(OLD, "ann"), _hash(OLD, "bob")
    assert pq.ParquetFile(written.path).read().to_pydict() == {
        "before": [1, 2, 3, 4],
        "user_key": [ann, bob, None, ann],
        "user_key_id": ["old", "old", None, "old"],
        "after": ["a", "b", "c", "d"],
    }
    assert pq.ParquetFile(path).num_row_groups == pq.ParquetFile(written.path).num_row_groups == 2


def test_users_can_be_linked_across_a_rotation(tmp_path: Path, settings: Settings) -> None:
    for number in (1, 2, 3):
        _raw(tmp_path, number)
    before, during, after = (
        pq.ParquetFile(each.path).read().to_pylist()[0] for each in _run(settings, tmp_path / "raw", tmp_path / "out")
    )
    assert (during["user_key_id"], during["previous_user_key_id"]) == ("new", "old")
    assert during["previous_user_key"] == before["user_key"] == _hash(OLD, "ann")
    assert during["user_key"] == after["user_key"] == _hash(NEW, "ann")
    assert "previous_user_key" not in before.keys() | after.keys()


def test_an_integer_or_dictionary_has_the_hash_of_its_text(tmp_path: Path, settings: Settings) -> None:
    texts = pa.array(["7", "8", None, "7"])
    keys = []
    for number, column in enumerate((texts, texts.dictionary_encode(), texts.cast(pa.int64())), start=1):
        source = _raw(tmp_path / str(number), 1, user_id=column)
        [written] = _run(settings, source, tmp_path / f"{number}.parquet")
        keys.append(pq.ParquetFile(written.path).read()["user_key"].to_pylist())
    assert keys[0] == keys[1] == keys[2] == [_hash(OLD, "7"), _hash(OLD, "8"), None, _hash(OLD, "7")]


@pytest.mark.parametrize("target", ["raw", "raw/inside", ".", "link"])
def test_the_source_is_never_overwritten(tmp_path: Path, settings: Settings, target: str) -> None:
    content = _raw(tmp_path, 1).read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "raw")
    with pytest.raises(ConfigurationError, match="must not mix"):
        _run(settings, tmp_path / "raw", tmp_path / target)
    assert (tmp_path / "raw" / "dt=2024-03-01" / "part-0.parquet").read_bytes() == content


def test_a_file_is_replaced_completely_or_not_at_all(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raw(tmp_path, 1)
    [written] = _run(settings, tmp_path / "raw", tmp_path / "out")
    content = written.path.read_bytes()
    replaced = pseudonyms._replaced

    def fail_at_the_second_row_group(rows: pa.Table, *given: Any) -> pa.Table:
        if 3 in rows["before"].to_pylist():
            raise RuntimeError
        return replaced(rows, *given)

    monkeypatch.setattr(pseudonyms, "_replaced", fail_at_the_second_row_group)
    with pytest.raises(RuntimeError):
        _run(settings, tmp_path / "raw", tmp_path / "out")
    assert written.path.read_bytes() == content
    assert [path.name for path in written.path.parent.iterdir()] == ["part-0.parquet"]


def test_nothing_is_written_if_some_file_cannot_be_used(tmp_path: Path, settings: Settings) -> None:
    _raw(tmp_path, 1)
    _raw(tmp_path, 2, user_id=None)
    with pytest.raises(InputError, match="has no column user_id"):
        _run(settings, tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pseudonyms_are_not_hashed_again(tmp_path: Path, settings: Settings) -> None:
    source = _raw(tmp_path, 1, user_key=["k"] * 4)
    with pytest.raises(InputError, match="has a column user_key already"):
        _run(settings, source, tmp_path / "out.parquet")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, settings: Settings, mode: int) -> None:
    _raw(tmp_path, 3)
    (tmp_path / "new.key").chmod(mode)
    with pytest.raises(ConfigurationError, match=f"mode {mode:04o}") as caught:
        _run(settings, tmp_path / "raw", tmp_path / "out")
    assert NEW not in str(caught.value)


def test_a_key_in_a_pipe_is_refused_at_once(tmp_path: Path, settings: Settings) -> None:
    _raw(tmp_path, 3)
    (tmp_path / "new.key").unlink()
    os.mkfifo(tmp_path / "new.key", 0o600)
    with pytest.raises(ConfigurationError, match=r"new.key is not a regular file"):
        _run(settings, tmp_path / "raw", tmp_path / "out")


def test_a_short_key_is_refused_and_not_printed(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raw(tmp_path, 1)
    monkeypatch.setenv("OLD_KEY", "hunter2")
    with pytest.raises(ConfigurationError, match="shorter than 32 bytes") as caught:
        _run(settings, tmp_path / "raw", tmp_path / "out")
    assert "hunter2" not in repr(caught.value)


def test_a_day_without_a_valid_key_is_refused(tmp_path: Path, settings: Settings) -> None:
    source = _raw(tmp_path, 1)
    with pytest.raises(ConfigurationError, match="valid on 2023-12-31"):
        _run(settings, source, tmp_path / "out.parquet", date(2023, 12, 31))


def test_the_command_says_what_it_wrote_and_no_secret(tmp_path: Path, settings: Settings) -> None:
    _raw(tmp_path, 2)
    config = str(settings.resolve("driftlake.yaml"))
    done = CliRunner().invoke(app, ["pseudonymize", str(tmp_path / "raw"), str(tmp_path / "out"), "--config", config])
    assert done.stdout.endswith("part-0.parquet: 4 rows, key new and old\n")
    assert not {OLD, NEW, "ann"} & set(done.output.split())
