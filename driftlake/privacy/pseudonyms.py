"""Replaces raw identifiers of users by keyed hashes, file by file: HMAC-SHA-256 (RFC 2104), 64 hexadecimal digits.

Files are written under a temporary name and renamed when they are complete; the source is only read. Not here: which key is valid
when (`driftlake.config`), and the rules for pseudonyms in telemetry (`expectations`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from driftlake.config import PseudonymKey, Settings
from driftlake.config.inputs import PseudonymSettings
from driftlake.errors import ConfigurationError, InputError
from driftlake.inputs.listing import list_input
from driftlake.inputs.partition_names import place_of
from driftlake.lake.whole_files import replaced_whole

# As long as the hash: a shorter key would be the weaker part (RFC 2104, section 3).
_SHORTEST_KEY_BYTES = 32
# More than any key has, and little to read if the path is wrong.
_LONGEST_KEY_CHARACTERS = 10_000
# The columns for the newest key, and for the key before it while both are valid.
_COLUMNS = (("user_key", "user_key_id"), ("previous_user_key", "previous_user_key_id"))
# Name of the copy that the pseudonyms replace.
_RAW = "raw:"


@dataclass(frozen=True, slots=True)
class Written:
    """A written file and the keys that were used, the newest first."""

    path: Path
    row_count: int
    key_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Secret:
    """A key, whose bytes never appear in its representation."""

    key_id: str
    value: bytes

    def __repr__(self) -> str:
        return f"_Secret({self.key_id!r})"

    def pseudonym(self, identifier: str) -> str:
        return hmac.new(self.value, identifier.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The pseudonyms of an identifier by id of the key, the newest key first, and why other keys cannot be used."""

    by_key: Mapping[str, str]
    unread: Sequence[str]


def pseudonyms_of(settings: Settings, identifier: str) -> Pseudonyms:
    """The pseudonyms of an identifier by every configured key that can be read; a key may have been destroyed."""
    by_key, unread = {}, []
    keys = settings.pseudonyms.keys if settings.pseudonyms else ()
    for key in sorted(keys, key=lambda key: key.valid_from, reverse=True):
        try:
            by_key[key.id] = _read(settings, key).pseudonym(identifier)
        except (ConfigurationError, OSError) as error:
            unread.append(str(error) if isinstance(error, OSError) else error.message)
    return Pseudonyms(by_key, unread)


def pseudonymize_files(settings: Settings, source: Path, target: Path, day: date | None = None) -> Iterator[Written]:
    """Write every Parquet file of `source` to `target`, with pseudonyms in place of the configured column.

    While two keys are valid, rows have the pseudonyms of both, so that users can be linked across the rotation. Null
    identifiers stay null. All files and keys are checked before the first file is written.

    Raises ConfigurationError without a valid key or for a key that others can read, InputError for files that cannot be used.
    """
    if settings.pseudonyms is None:
        raise ConfigurationError(
            "driftlake.yaml has no section pseudonyms", hint="give pseudonyms.column and pseudonyms.keys"
        )
    column = settings.pseudonyms.column
    _require_apart(source, target)
    files = list(_files(source, target, day, settings.telemetry.partitioning))
    for path, _, _ in files:
        _require_columns(path, column)
    keys = {dt: _valid_keys(settings.pseudonyms, dt) for dt in sorted(dt for _, _, dt in files)}
    secrets = {key.id: _read(settings, key) for valid in keys.values() for key in valid}
    for path, written, dt in files:
        yield _write(path, written, column, [secrets[key.id] for key in keys[dt]])


def pseudonym_columns(settings: Settings, identifiers: pa.Table, column: str, day: date) -> pa.Table:
    """Identifiers, each once in `column`, with the columns of their pseudonyms by the keys that are valid on `day`.

    Raises ConfigurationError without a valid key or for a key that others can read.
    """
    assert settings.pseudonyms
    secrets = [_read(settings, key) for key in _valid_keys(settings.pseudonyms, day)]
    raw = identifiers.column(column)
    return _replaced(pa.table({column: raw, _RAW: raw}), _RAW, secrets)


def _valid_keys(pseudonyms: PseudonymSettings, day: date) -> Sequence[PseudonymKey]:
    if valid := pseudonyms.valid_on(day):
        return valid
    raise ConfigurationError(
        f"no key of pseudonyms.keys is valid on {day}", hint="give a key, or extend valid_until of one"
    )


def _require_apart(source: Path, target: Path) -> None:
    raw, pseudonymous = source.resolve(), target.resolve()
    is_same = target.exists() and source.exists() and source.samefile(target)
    if is_same or raw == pseudonymous or raw in pseudonymous.parents or pseudonymous in raw.parents:
        raise ConfigurationError(
            f"{target} is the same folder as {source}, or one contains the other: raw and pseudonymous telemetry must "
            "not mix",
            hint="write to a separate folder",
        )


def _files(source: Path, target: Path, day: date | None, partitioning: str | None) -> Iterator[tuple[Path, Path, date]]:
    """Source, target and day of each file."""
    if not source.exists():
        raise InputError(f"there is no {source}")
    if source.is_file():
        yield source, target, day or _day_of(source, partitioning)
        return
    listing = list_input(str(source), partitioning)
    found = [(Path(file.path), dt) for dt in listing.days for file in listing.files_of(dt).files]
    if not found:
        raise InputError(f"{source} has no folder of a day with Parquet files")
    for path, dt in found:
        yield path, target / path.relative_to(source), dt


def _day_of(file: Path, partitioning: str | None) -> date:
    if day := place_of(file.resolve().parts[:-1], partitioning).day:
        return day
    raise InputError(
        f"{file.parent} is not the folder of a day, so it is unknown which key is valid",
        hint="give the day with --date",
    )


def _require_columns(path: Path, column: str) -> None:
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="nothing was written") from error
    if column not in names:
        raise InputError(f"{path} has no column {column}", hint=f"it has {', '.join(names)}")
    if taken := sorted({name for pair in _COLUMNS for name in pair} & set(names) - {column}):
        raise InputError(
            f"{path} has a column {', '.join(taken)} already", hint="the file seems to be pseudonymized already"
        )


def _read(settings: Settings, key: PseudonymKey) -> _Secret:
    """The secret of a key, read from its configured location."""
    if key.env is not None:
        value, place = os.environ.get(key.env, ""), f"the environment variable {key.env}"
    else:
        assert key.file is not None
        value, place = _read_file(Path(settings.resolve(key.file))), key.file
    if len(value.strip().encode()) < _SHORTEST_KEY_BYTES:
        raise ConfigurationError(
            f"key {key.id}: {place} is not set or shorter than {_SHORTEST_KEY_BYTES} bytes",
            hint="make a key with `openssl rand -hex 32`",
        )
    return _Secret(key.id, value.strip().encode())


def _read_file(path: Path) -> str:
    # without waiting for the writer of a pipe
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
        # check the opened file itself, because the path may point to another file a moment later
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(
                f"{path} is not a regular file; a key must be in one",
                hint="store the key in a regular file with mode 0600",
            )
        mode = stat.S_IMODE(status.st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                f"{path} can be used by others (mode {mode:04o})", hint=f"chmod 600 {path}, and consider a new key"
            )
        key = file.read(_LONGEST_KEY_CHARACTERS + 1)
    if len(key) > _LONGEST_KEY_CHARACTERS:
        raise ConfigurationError(
            f"{path} has more than {_LONGEST_KEY_CHARACTERS:,} characters, so it is not a key",
            hint="make a key with `openssl rand -hex 32`",
        )
    return key


def _write(source: Path, target: Path, column: str, secrets: Sequence[_Secret]) -> Written:
    with replaced_whole(target) as temporary, pq.ParquetFile(source) as parquet:
        schema = _replaced(parquet.schema_arrow.empty_table(), column, secrets).schema
        with pq.ParquetWriter(temporary, schema) as writer:
            for index in range(parquet.num_row_groups):
                rows = _replaced(parquet.read_row_group(index), column, secrets)
                writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
        row_count = parquet.metadata.num_rows
    return Written(target, row_count, [secret.key_id for secret in secrets])


def _replaced(rows: pa.Table, column: str, secrets: Sequence[_Secret]) -> pa.Table:
    place = rows.column_names.index(column)
    raw = rows.column(column).combine_chunks()
    encoded = raw if pa.types.is_dictionary(raw.type) else raw.dictionary_encode()
    identifiers = encoded.dictionary.cast(pa.string()).to_pylist()
    rows = rows.remove_column(place)
    for offset, (secret, (key_name, id_name)) in enumerate(zip(secrets, _COLUMNS, strict=False)):
        pseudonyms = pa.array([i if i is None else secret.pseudonym(i) for i in identifiers], pa.string())
        keys = pseudonyms.take(encoded.indices)
        ids = pa.array([secret.key_id], pa.string()).take(
            pa.array([0] * len(keys), pa.int8(), mask=keys.is_null().to_numpy(zero_copy_only=False))
        )
        rows = rows.add_column(place + 2 * offset, key_name, keys).add_column(place + 2 * offset + 1, id_name, ids)
    return rows
