"""Reports how the files of an input are read: folders, files, columns and rows.

Each line of the report is a function from an `Examined` input to findings. Not here: all other checks
(`driftlake.setup.doctor`), and reading files in a run.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from driftlake.config import EXPLANATIONS, LABELS, TELEMETRY, Settings, Source
from driftlake.errors import DriftlakeError
from driftlake.inputs.columns import CanonicalColumn
from driftlake.inputs.listed_files import Listing, PassedOver
from driftlake.inputs.listing import files_in, look_into, nothing_understood
from driftlake.inputs.parquet_files import InputFile, read_footer
from driftlake.inputs.partitions import Partition, read_listed
from driftlake.inputs.predictions import Reading, create_view_of_partitions
from driftlake.inputs.sources import columns_of
from driftlake.lake.s3 import require_place
from driftlake.lake.session import open_session
from driftlake.lineage.lineage_files import LineageFile
from driftlake.setup.findings import Finding
from driftlake.vocabulary.wording import counted, first_of

# Number of newest days whose files are opened: enough to find a wrong mapping, and fast with years of data.
_EXAMINED_DAYS = 7
# Number of label ids that are searched among predictions, and the largest number of prediction rows to read.
_SAMPLED_IDS, _MOST_ROWS = 1000, 5_000_000
_NAMED_FILES, _NAMED_COLUMNS = 5, 20


@dataclass(frozen=True, slots=True)
class Examined:
    """An input and its newest days, whose files were opened."""

    source: Source
    location: str
    settings: Settings
    columns: Sequence[CanonicalColumn]
    listing: Listing
    partitions: Sequence[Partition]

    @property
    def files(self) -> list[InputFile]:
        """Files that can be used."""
        return [file for partition in self.partitions for file in partition.files if not file.refusal]

    @property
    def row_count(self) -> int:
        """Number of their rows."""
        return sum(file.row_count for file in self.files)


Line = Callable[[Examined], Iterator[Finding]]


def examine_input(settings: Settings, source: Source, location: str, *, has_classes: bool) -> Examined | Finding:
    """Examine an input; a finding if nothing in it can be read."""
    try:
        require_place(source.setting, location, holds_input=True)
        listing = look_into(location, settings.partitioning_of(source))
        if not listing.days and listing.passed_over:
            raise nothing_understood(location, listing.passed_over)
        columns = columns_of(source, settings, has_classes=has_classes)
        days = listing.days[-_EXAMINED_DAYS:]
        partitions = read_listed(listing, location, days, columns, settings.mapping_of(source))
    except DriftlakeError as error:
        return Finding.of_error(source.name, error)
    except OSError as error:
        return Finding(
            source.name, False, f"{location} cannot be listed: {error}", "check the path and the credentials"
        )
    if not listing.days:
        return Finding(source.name, False, f"{location} is empty", "write files as dt=YYYY-MM-DD/*.parquet below it")
    return Examined(source, location, settings, columns, listing, partitions)


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
            hint += f", or map your column names under {examined.source.name}.columns"
        message = f"{counted(len(refusals), 'file')} cannot be used, e.g. {refusals[0]}"
        yield Finding(f"{examined.source.name} files", False, message, hint)


def _passed_over(examined: Examined) -> Iterator[Finding]:
    found: list[PassedOver] = [*examined.listing.passed_over]
    found += [entry for partition in examined.partitions for entry in partition.passed_over]
    if found:
        found.sort(key=lambda entry: not entry.is_suspect)
        named = first_of([*map(str, found)], _NAMED_FILES, joint="; ")
        is_suspect = any(entry.is_suspect for entry in found)
        hint = (
            "rename them so that they are read, or let their names begin with _ to mark them as not part of the input"
        )
        subject = f"{examined.source.name} skipped"
        yield Finding(subject, not is_suspect, named, hint if is_suspect else None)


def _columns(examined: Examined) -> Iterator[Finding]:
    kinds = _kinds(examined.files)
    if not kinds:
        return
    mapping = examined.settings.mapping_of(examined.source)
    read = {column.own_name(mapping): column.name for column in examined.columns if not column.read_from}
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


LINES: tuple[Line, ...] = (_days, _rows, _refused, _passed_over, _columns)


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
            [partition] = read_listed(
                telemetry.listing, telemetry.location, [dt], telemetry.columns, settings.mapping_of(TELEMETRY)
            )
            if partition.readable.row_count:
                found.append(partition.readable)
                rows += partition.readable.row_count
    return found


def training_files(file: LineageFile) -> Iterator[Finding]:
    """The training data that a lineage file names."""
    subject = f"training {file.record.model_id} {file.record.model_version}"
    try:
        read = [read_footer(listed, date.min) for listed in files_in(file.training_data)]
    except DriftlakeError as error:
        yield Finding.of_error(subject, error)
        return
    if refused := [file.refusal for file in read if file.refusal]:
        yield Finding(
            subject, False, f"{counted(len(refused), 'file')} cannot be used, e.g. {refused[0]}", "correct the files"
        )
        return
    if not read:
        yield Finding(subject, False, f"{file.training_data} has no Parquet file", "correct training_data")
        return
    kinds = [f"{name} {kind}" for name, kind in _kinds(read).items()]
    table = f" at version {read[0].table_version} of the table" if read[0].table_version else ""
    rows = sum(file.row_count for file in read)
    yield Finding(
        subject, True, f"{rows:,} rows in {counted(len(read), 'file')}{table}: {first_of(kinds, _NAMED_COLUMNS)}"
    )


def _kinds(files: Iterable[InputFile]) -> dict[str, str]:
    """Types of the columns of files, the most frequent first; structs are shown with their number of fields."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        for name, kind in file.columns.items():
            found[name][_kind(kind)] += 1
    return {name: " or ".join(kind for kind, _ in kinds.most_common()) for name, kinds in found.items()}


def _kind(kind: pa.DataType) -> str:
    return f"struct of {kind.num_fields} fields" if pa.types.is_struct(kind) else str(kind)


def _shape(text: str | None) -> str:
    """An id with all letters and all digits replaced by the same character, because an id may identify a person."""
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "a", text or ""))


def report_labels_of(found: Sequence[Examined]) -> Iterator[Finding]:
    """Findings about telemetry and labels together, if both could be read."""
    by_source = {examined.source: examined for examined in found}
    if TELEMETRY in by_source and LABELS in by_source:
        yield from matched_ids(by_source[TELEMETRY], by_source[LABELS])
