"""Checks sample files against the contract before a producer releases a change.

Nothing is written and no warehouse is needed; if there is one, features are compared with the types in training. Not
here: the rules (`expectations`), and how faults are printed (`driftlake.cli.inputs`).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Literal

import duckdb
import pyarrow as pa

from driftlake.config import Settings
from driftlake.contract.custom_suites import check_suites
from driftlake.contract.day_checks import day_bounds
from driftlake.contract.quarantine import FILE_RULE
from driftlake.contract.records import PERSONAL_DATA, UNREAD_COLUMN
from driftlake.contract.row_checks import Contract, Contracts, Severity
from driftlake.inputs.columns import LABEL_COLUMNS, CanonicalColumn, telemetry_columns
from driftlake.inputs.features import feature_columns, feature_problem
from driftlake.inputs.parquet_files import InputFile, problems_of, unread_columns_of
from driftlake.inputs.partition_names import place_of
from driftlake.inputs.partitions import Partition, read_file
from driftlake.inputs.predictions import Reading, create_version_tables, create_view_of_partitions, percent_versions
from driftlake.lake.catalog import catalog_of
from driftlake.lake.session import create_table, open_session
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.label_meaning import LabelMeaning, declared_meaning
from driftlake.lineage.lineage_files import LineageRecord, read_lineage_folder, score_divisor
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.privacy.personal_data import scan_files
from driftlake.vocabulary.wording import printable

Source = Literal["telemetry", "labels"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a file: the rule it breaks, and a sentence that says what, where and how often."""

    path: str
    rule: str
    severity: Severity
    column: str | None
    message: str


def check_files(
    settings: Settings, contracts: Contracts | None, paths: Sequence[str], source: Source, day: date | None = None
) -> Iterator[tuple[str, list[Fault]]]:
    """Each file with its faults. A file in the folder of a day belongs to that day, any other file to `day` or today.

    Raises InputError if a file does not exist.
    """
    versions = _versions(settings)
    for path in paths:
        file = read_file(path, _day_in(settings, source, path) or day or datetime.now(UTC).date())
        yield path, list(_faults(settings, contracts, file, source, versions))


def as_junit(checked: Sequence[tuple[str, list[Fault]]]) -> str:
    """The faults as JUnit XML, which CI systems show: a test suite per file, a failed test per fault."""
    suites = ET.Element("testsuites")
    for path, faults in checked:
        counts = {"name": printable(path), "tests": str(len(faults) or 1), "failures": str(len(faults))}
        suite = ET.SubElement(suites, "testsuite", counts)
        for fault in faults:
            case = ET.SubElement(suite, "testcase", classname=printable(path), name=printable(_named(fault)))
            ET.SubElement(case, "failure", type=fault.severity, message=printable(fault.message))
        if not faults:
            ET.SubElement(suite, "testcase", classname=printable(path), name="keeps its contract")
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def _named(fault: Fault) -> str:
    return f"{fault.rule} ({fault.column})" if fault.column else fault.rule


def _day_in(settings: Settings, source: Source, path: str) -> date | None:
    section = settings.telemetry if source == "telemetry" else settings.labels
    return place_of(path.split("/")[:-1], section.partitioning if section else None).day


def _versions(settings: Settings) -> Mapping[tuple[str, str], ModelVersion]:
    """The registered versions, or else versions made from the lineage files."""
    if not catalog_of(settings).is_missing():
        with Warehouse.open(settings, read_only=True) as warehouse:
            return load_versions(warehouse)
    return versions_of_lineage(settings)


def versions_of_lineage(settings: Settings) -> Mapping[tuple[str, str], ModelVersion]:
    """Versions made from the lineage files, without anything learned from training data."""
    records = [file.record for file in read_lineage_folder(settings)]
    return {
        (record.model_id, record.model_version): version_of_record(record, declared_meaning(record, settings))
        for record in records
    }


def version_of_record(record: LineageRecord, meaning: LabelMeaning | None) -> ModelVersion:
    """A version made from its lineage and the `meaning` of its labels, without anything learned from training data."""
    return ModelVersion(
        record.model_id,
        record.model_version,
        score_kind="probability" if record.is_probability else "value",
        score_divisor=score_divisor(record.score_kind),
        features={},
        score_bins=None,
        task=record.task,
        classes=record.classes or (),
        positive_label=meaning.positive if meaning else None,
        negative_label=meaning.negative if meaning else None,
        training_dataset_id=record.training_dataset_id,
    )


def _faults(
    settings: Settings,
    contracts: Contracts | None,
    file: InputFile,
    source: Source,
    versions: Mapping[tuple[str, str], ModelVersion],
) -> Iterator[Fault]:
    if file.refusal:
        yield Fault(file.path, FILE_RULE, "error", None, file.refusal)
        return
    columns, mapping = _layout(settings, source)
    problems = problems_of(file, columns, mapping)
    for problem in problems:
        yield Fault(file.path, FILE_RULE, "error", None, f"the file {problem}")
    unread = unread_columns_of(file, columns, mapping)
    for column, reason in unread.items():
        yield Fault(file.path, UNREAD_COLUMN, "error", column, reason.removeprefix(f"{file.path}").lstrip(": "))
    file = replace(file, unread_columns=unread)
    yield from _personal_data(settings, file)
    if not file.row_count:
        yield Fault(file.path, FILE_RULE, "warning", None, "the file has no rows")
    if problems or not file.row_count:
        return
    with open_session(settings, [file.path]) as connection:
        try:
            yield from _of_rows(connection, settings, contracts, file, source, versions)
        except duckdb.Error as error:
            yield Fault(file.path, FILE_RULE, "error", None, f"the rows cannot be read: {str(error).splitlines()[0]}")


def _layout(settings: Settings, source: Source) -> tuple[Sequence[CanonicalColumn], Mapping[str, str]]:
    if source == "telemetry":
        telemetry = settings.telemetry
        return telemetry_columns(telemetry.segments, telemetry.latencies, telemetry.timezone), telemetry.columns
    return LABEL_COLUMNS, settings.labels.columns if settings.labels else {}


def _personal_data(settings: Settings, file: InputFile) -> Iterator[Fault]:
    exempt = settings.telemetry.personal_data.exempt
    names = [name for name in _paths_of(file.columns) if name not in exempt]
    for column, finding in scan_files([file.path], names).items():
        message = f"column {column}: of {finding.checked_count:,} distinct values some look like {finding}"
        yield Fault(file.path, PERSONAL_DATA, "error", column, message)


def _paths_of(columns: Mapping[str, pa.DataType]) -> Iterator[str]:
    """Columns, and the fields of struct columns as struct.field."""
    for name, kind in columns.items():
        yield from (f"{name}.{field.name}" for field in kind) if pa.types.is_struct(kind) else [name]


def _of_rows(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contracts: Contracts | None,
    file: InputFile,
    source: Source,
    versions: Mapping[tuple[str, str], ModelVersion],
) -> Iterator[Fault]:
    columns, mapping = _layout(settings, source)
    create_version_tables(connection, list(versions.values()), settings.models)
    create_table(connection, "partition_days", day_bounds([file.dt], settings.schedule.timezone))
    relation = "predictions" if source == "telemetry" else "labels"
    create_view_of_partitions(
        connection,
        relation,
        [Partition(file.dt, (file,))],
        Reading(columns, mapping, percent_versions=percent_versions(versions.values())),
    )
    if source == "telemetry":
        yield from _of_features(connection, settings, file, versions)
    if contracts:
        contract: Contract = contracts.telemetry if source == "telemetry" else contracts.labels
        contract.create_view(connection)
        checks = contract.check(connection, [file.dt])
        struct_column = settings.telemetry.features_column if source == "telemetry" else None
        checks += check_suites(connection, contract, [Partition(file.dt, (file,))], mapping, struct_column)
        for check in checks:
            if check.outcome == "failed":
                yield Fault(file.path, check.expectation, check.severity, check.column_name, check.message)


def _of_features(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    file: InputFile,
    versions: Mapping[tuple[str, str], ModelVersion],
) -> Iterator[Fault]:
    struct = settings.telemetry.features_column
    there = feature_columns(file, struct)
    held: list[tuple[Any, ...]] = connection.execute(
        "select distinct model_id, model_version from predictions order by all"
    ).fetchall()
    for key in held:
        version = versions.get((key[0], key[1]))
        for name, bins in version.features.items() if version else ():
            path = f"{struct}.{name}" if struct else name
            if message := feature_problem(file, there, path, bins):
                yield Fault(file.path, "feature_is_readable", "error", name, f"{message} ({key[0]} {key[1]})")
