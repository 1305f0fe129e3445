"""Reports how the files of an input are read: folders, files, columns and rows.

Each line of the report is a function from an `Examined` input to findings. Not here: all other checks
(`driftlake.setup.doctor`), and reading files in a run.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Self

import pyarrow as pa

from driftlake.config import EXPLANATIONS, Settings, Source
from driftlake.errors import DriftlakeError
from driftlake.inputs.columns import CanonicalColumn
from driftlake.inputs.importable_files import importable_among, importable_in
from driftlake.inputs.listed_files import Listing, SkippedEntry
from driftlake.inputs.listing import look_into, no_day_recognised
from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.partitions import Partition, read_listed
from driftlake.inputs.predictions import Reading, create_view_of_partitions
from driftlake.inputs.schema_changes import type_name
from driftlake.inputs.sources import columns_of
from driftlake.lake.s3 import require_place
from driftlake.lake.session import open_session
from driftlake.lineage.lineage_files import LineageFile
from driftlake.setup.findings import Finding
from driftlake.setup.proposed_imports import import_needed
from driftlake.training.learning import TrainingData
from driftlake.vocabulary.wording import counted, first_of

# Number of newest days whose files are opened: enough to find a wrong mapping, and fast with years of data.
_EXAMINED_DAYS = 7
# Number of label ids that are searched among predictions, and the largest number of prediction rows to read.
_SAMPLED_IDS, _MOST_ROWS = 1000, 5_000_000
_NAMED_FILES, _NAMED_COLUMNS = 5, 20


@dataclass(frozen=True, slots=True)
class Examined:
    """An input whose folders are listed; the footers of a day are read once, on first use."""

    source: Source
    location: str
    settings: Settings
    columns: Sequence[CanonicalColumn]
    listing: Listing
    _read: dict[date, Partition] = field(default_factory=dict)

    def of_days(self, days: Sequence[date]) -> list[Partition]:
        """The partitions of some days."""
        unread = [day for day in days if day not in self._read]
        mapping = self.settings.mapping_of(self.source)
        found = read_listed(self.listing, self.location, unread, self.columns, mapping)
        self._read.update(zip(unread, found, strict=True))
        return [self._read[day] for day in days]

    def newest(self, count: int) -> list[Partition]:
        """The partitions of the newest days that have files."""
        return self.of_days(self.listing.days[-count:])

    @property
    def partitions(self) -> list[Partition]:
        """The newest days, which are reported."""
        return self.newest(_EXAMINED_DAYS)

    @property
    def files(self) -> list[InputFile]:
        """Files that can be used."""
        return [file for partition in self.partitions for file in partition.files if not file.refusal]

    @property
    def row_count(self) -> int:
        """Number of their rows."""
        return sum(file.row_count for file in self.files)


@dataclass(frozen=True, slots=True)
class ExaminedVersion:
    """A lineage file with its training data, or the reason that the data cannot be read."""

    file: LineageFile
    data: TrainingData | DriftlakeError

    @classmethod
    def of(cls, file: LineageFile) -> Self:
        """A lineage file with the footers of its training data."""
        try:
            return cls(file, TrainingData(file))
        except DriftlakeError as error:
            return cls(file, error)

    @property
    def key(self) -> tuple[str, str]:
        """The model and the version."""
        return self.file.record.model_id, self.file.record.model_version


Line = Callable[[Examined], Iterator[Finding]]


def examine_input(settings: Settings, source: Source, location: str) -> Examined | Finding:
    """Examine an input; a finding if nothing in it can be read."""
    try:
        require_place(source.setting, location, holds_input=True)
        listing = look_into(location, settings.partitioning_of(source))
        if not listing.days and listing.skipped:
            raise no_day_recognised(location, listing.skipped)
        examined = Examined(source, location, settings, columns_of(source, settings), listing)
        examined.newest(_EXAMINED_DAYS)
    except DriftlakeError as error:
        found = importable_in(location)
        return import_needed(source.name, found) if found else Finding.of_error(source.name, error)
    except OSError as error:
        return Finding(
            source.name, False, f"{location} cannot be listed: {error}", "check the path and the credentials"
        )
    if not listing.days:
        return Finding(source.name, False, f"{location} is empty", "write files as dt=YYYY-MM-DD/*.parquet below it")
    return examined


def lines(examined: Examined) -> Iterator[Finding]:
    """The report of an input."""
    for line in LINES:
        yield from line(examined)


def _days(examined: Examined) -> Iterator[Finding]:
    days, settings, name = examined.listing.days, examined.settings, examined.source.name
    found = f"{counted(len(days), 'day')}, {days[0]} to {days[-1]}, in {examined.listing.layout}"
    if not any(settings.start <= day <= (settings.end or day) for day in days):
        hint = "correct start and end in driftlake.yaml"
        yield Finding(name, False, f"{found}; none of them is on or after {settings.start}", hint)
    elif not examined.row_count and not any(partition.refusals for partition in examined.partitions):
        hint = "write *.parquet into the folders of the days, under names that do not begin with _ or ."
        skipped = [entry.path for partition in examined.partitions for entry in partition.skipped]
        if importable := importable_among(skipped):
            yield import_needed(name, importable)
            return
        message = f"there are no rows in the last {len(examined.partitions)} of {len(days)} days"
        yield Finding(name, False, message, hint)
    else:
        yield Finding(name, True, found)


def _rows(examined: Examined) -> Iterator[Finding]:
    by_day = ", ".join(f"{partition.dt} {partition.readable.row_count:,}" for partition in examined.partitions)
    found = f"{examined.row_count:,} in the last {counted(len(examined.partitions), 'day')}: {by_day}"
    days = examined.listing.days
    missing = sorted({days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days)} - set(days))
    if missing:
        found += f"; nothing on {len(missing)} days in between, the last of them {missing[-1]}"
    yield Finding(f"{examined.source.name} rows", True, found)


def _refused(examined: Examined) -> Iterator[Finding]:
    refusals = [file.refusal for partition in examined.partitions for file in partition.refusals]
    if refusals:
        hint = "correct the files"
        if examined.source != EXPLANATIONS:
            hint += f", or map your column names under {examined.source.setting.removesuffix('path')}columns"
        if importable := importable_among(
            file.path for partition in examined.partitions for file in partition.refusals
        ):
            hint = importable.hint
        message = f"{counted(len(refusals), 'file')} cannot be used, e.g. {refusals[0]}"
        yield Finding(f"{examined.source.name} files", False, message, hint)


def _skipped(examined: Examined) -> Iterator[Finding]:
    found: list[SkippedEntry] = [*examined.listing.skipped]
    found += [entry for partition in examined.partitions for entry in partition.skipped]
    if found:
        found.sort(key=lambda entry: not entry.is_likely_input)
        named = first_of([*map(str, found)], _NAMED_FILES, joint="; ")
        is_likely_input = any(entry.is_likely_input for entry in found)
        hint = (
            "rename them so that they are read, or let their names begin with _ to mark them as not part of the input"
        )
        subject = f"{examined.source.name} skipped"
        yield Finding(subject, not is_likely_input, named, hint if is_likely_input else None)


def _columns(examined: Examined) -> Iterator[Finding]:
    kinds = _kinds(examined.files)
    if not kinds:
        return
    mapping = examined.settings.mapping_of(examined.source)
    read = {column.source_name(mapping): column.name for column in examined.columns if not column.read_from}
    there = [
        f"{name} {kinds[own]}" if name == own else f"{name} (as {own}) {kinds[own]}"
        for own, name in read.items()
        if own in kinds
    ]
    absent = [name for own, name in read.items() if own not in kinds]
    others = [f"{name} {kind}" for name, kind in kinds.items() if name not in read]
    message = f"read {', '.join(there)}"
    if others:
        message += f"; besides {first_of(others, _NAMED_COLUMNS)}"
    if absent:
        message += f"; missing: {', '.join(absent)}"
    yield Finding(f"{examined.source.name} columns", True, message)


LINES: tuple[Line, ...] = (_days, _rows, _refused, _skipped, _columns)


def matched_ids(telemetry: Examined, labels: Examined) -> Iterator[Finding]:
    """How many ids of the newest labels occur among the predictions of the days before."""
    newest = next((partition for partition in reversed(labels.partitions) if partition.readable.row_count), None)
    if newest is None:
        return
    partitions = _before(telemetry, newest.dt)
    if not partitions:
        return
    settings = labels.settings
    with open_session(settings) as connection:
        for relation, found, examined in (
            ("labels", [newest.readable], labels),
            ("predictions", partitions, telemetry),
        ):
            columns = [column for column in examined.columns if column.name == "correlation_id"]
            create_view_of_partitions(
                connection, relation, found, Reading(columns, settings.mapping_of(examined.source))
            )
        rows: list[tuple[str, bool]] = connection.execute(
            "with sampled as (select distinct correlation_id from labels where correlation_id is not null"
            f" order by hash(correlation_id) limit {_SAMPLED_IDS})"
            " select correlation_id, correlation_id in (select correlation_id from predictions) from sampled"
        ).fetchall()
        [example] = connection.execute("select min(correlation_id) from predictions").fetchone() or ("",)
    matched = sum(is_matched for _, is_matched in rows)
    days = f"{partitions[-1].dt} to {partitions[0].dt}"
    message = f"{matched:,} of {len(rows):,} ids of labels of {newest.dt} are among the predictions of {days}"
    if matched or not rows:
        yield Finding("labels matched", True, message)
        return
    hint = (
        f"ids of labels look like {_shape(rows[0][0])}, those of predictions like {_shape(example)}: use the same "
        "ids in both, or map the right column to correlation_id"
    )
    yield Finding("labels matched", False, message, hint)


def _before(telemetry: Examined, day: date) -> list[Partition]:
    """Usable telemetry up to a day, the newest first, within the label horizon and a limit of rows."""
    settings = telemetry.settings
    horizon = settings.labels.horizon_days if settings.labels else 0
    found: list[Partition] = []
    rows = 0
    for dt in reversed(telemetry.listing.days):
        if day - timedelta(days=horizon) <= dt <= day and rows <= _MOST_ROWS:
            [partition] = telemetry.of_days([dt])
            if partition.readable.row_count:
                found.append(partition.readable)
                rows += partition.readable.row_count
    return found


def training_files(version: ExaminedVersion) -> Finding:
    """The training data that a lineage file names."""
    record, data = version.file.record, version.data
    subject = f"training {record.model_id} {record.model_version}"
    if isinstance(data, DriftlakeError):
        return Finding.of_error(subject, data)
    kinds = [f"{name} {kind}" for name, kind in _kinds(data.files).items()]
    table = f" at version {data.files[0].table_version} of the table" if data.files[0].table_version else ""
    found = f"{data.row_count():,} rows in {counted(len(data.files), 'file')}{table}"
    return Finding(subject, True, f"{found}: {first_of(kinds, _NAMED_COLUMNS)}")


def _kinds(files: Iterable[InputFile]) -> dict[str, str]:
    """Types of the columns of files, the most frequent first; structs are shown with their number of fields."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        for name, kind in file.columns.items():
            found[name][_kind(kind)] += 1
    return {name: " or ".join(kind for kind, _ in kinds.most_common()) for name, kinds in found.items()}


def _kind(kind: pa.DataType) -> str:
    return f"struct of {counted(kind.num_fields, 'field')}" if pa.types.is_struct(kind) else type_name(kind)


def _shape(text: str | None) -> str:
    """An id with all letters and digits replaced by the same character each, because an id may identify a person."""
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "a", text or ""))
