"""What can be found out about an installation before it runs: one finding per thing looked at.

Not here: checks of rows (`driftlake.contract`) and of stored rows (`driftlake.lake.verification`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb

from driftlake.config import EXPLANATIONS, LABELS, SOURCES, OtherVersion, Settings, Source, load_settings
from driftlake.contract.suite_files import SOURCES as SUITES
from driftlake.contract.suite_files import read_suites, source_of
from driftlake.engines import engine_of
from driftlake.errors import DriftlakeError, StorageError
from driftlake.inputs.partitions import list_days, read_partitions
from driftlake.inputs.sources import columns_of
from driftlake.lake.catalog import catalog_of
from driftlake.lake.duckdb_extensions import load_extension
from driftlake.lake.s3 import is_on_s3, require_place
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.label_meaning import declared_meaning
from driftlake.lineage.lineage_files import LineageRecord, read_lineage_folder
from driftlake.setup.findings import Finding
from driftlake.setup.meaning import examine_meaning
from driftlake.vocabulary.signals import FEATURE

# Newest days whose files are opened: enough to find a wrong mapping, quick on years of data.
_EXAMINED_DAYS = 7


def examine(config: Path | None) -> Iterator[Finding]:
    """Look at the configuration and at everything it names."""
    try:
        settings = load_settings(config, require_inputs=True)
    except DriftlakeError as error:
        yield _failed("configuration", error)
        return
    yield Finding("configuration", True, f"days from {settings.start} to {settings.end or 'today'}")
    yield from _examine_extensions(settings)
    yield from _examine_engine(settings)
    for source in SOURCES:
        if source.is_daily and (location := settings.location_of(source)):
            yield _examine_days(settings, source, location)
    yield from _examine_lineage(settings)
    yield from examine_meaning(settings)
    yield from _examine_suites(settings)
    yield _examine_catalog(settings)


def _examine_extensions(settings: Settings) -> Iterator[Finding]:
    catalog, places = catalog_of(settings), [*settings.input_locations.values(), settings.warehouse.data]
    needed = {catalog.extension: catalog.extra, "ducklake": None}
    if any(map(is_on_s3, places)):
        needed["httpfs"] = "s3"
    for name, extra in needed.items():
        try:
            with duckdb.connect() as connection:
                load_extension(connection, name, extra=extra)
            yield Finding(f"extension {name}", True, f"loads into DuckDB {duckdb.__version__}")
        except DriftlakeError as error:
            yield _failed(f"extension {name}", error)


def _examine_engine(settings: Settings) -> Iterator[Finding]:
    if settings.engine == "spark":
        try:
            engine_of(settings)
            yield Finding("engine", True, f"pyspark and Java are installed, and {settings.spark.master} answers")
        except DriftlakeError as error:
            yield _failed("engine", error)


def _examine_days(settings: Settings, source: Source, location: str) -> Finding:
    subject = source.name
    try:
        require_place(source.setting, location, holds_input=True)
        days = list_days(location)
    except StorageError as error:
        return _failed(subject, error)
    except OSError as error:
        return Finding(subject, False, f"{location} cannot be listed: {error}", "check the path and the credentials")
    if not days:
        hint = "write files as dt=YYYY-MM-DD/*.parquet below it"
        return Finding(subject, False, f"{location} has no folder dt=YYYY-MM-DD", hint)
    columns = columns_of(source, settings, has_classes=source == LABELS and _has_classes(settings))
    partitions = read_partitions(location, days[-_EXAMINED_DAYS:], columns, settings.mapping_of(source))
    refusals = [file.refusal for partition in partitions for file in partition.refusals]
    if refusals:
        hint = "correct the files"
        if source != EXPLANATIONS:
            hint += f", or map your column names under {subject}.columns"
        return Finding(subject, False, f"{len(refusals)} files cannot be used, e.g. {refusals[0]}", hint)
    rows = sum(partition.row_count for partition in partitions)
    if not rows:
        hint = "write *.parquet into the folders of the days themselves, under names that do not begin with _ or ."
        return Finding(subject, False, f"there are no rows in the last {len(partitions)} of {len(days)} days", hint)
    return Finding(
        subject, True, f"{len(days)} days, {days[0]} to {days[-1]}; {rows:,} rows in the last {len(partitions)}"
    )


def _has_classes(settings: Settings) -> bool:
    """Whether some model has labels that are classes; what cannot be read is a finding of its own."""
    try:
        records = [file.record for file in read_lineage_folder(settings)]
        return any(record.classes or declared_meaning(record, settings) for record in records)
    except DriftlakeError:
        return False


def _examine_lineage(settings: Settings) -> Iterator[Finding]:
    folder = settings.resolve(settings.lineage.path)
    try:
        require_place("lineage.path", folder, holds_input=True)
        records = [file.record for file in read_lineage_folder(settings)]
    except DriftlakeError as error:
        yield _failed("lineage", error)
        return
    if not records:
        yield Finding("lineage", False, f"{folder} has no *.yaml", "write one lineage file per model version")
        return
    names = ", ".join(f"{record.model_id} {record.model_version}" for record in records)
    yield Finding("lineage", True, f"{len(records)} files: {names}")
    yield from _unknown("models", settings.models, {record.model_id for record in records})
    yield from _unknown(
        "slos", [slo.model for slo in settings.slos if slo.model], {record.model_id for record in records}
    )
    for slo in settings.slos:
        models = [record for record in records if slo.model in {None, record.model_id}]
        yield from _unknown_features(f"slos {slo.name}", slo.features, models)
    for rule in settings.alert_rules:
        yield from _unknown(f"alerts {rule.name}", rule.models, {record.model_id for record in records})
        if rule.watched.source.about == FEATURE:
            models = [record for record in records if not rule.models or record.model_id in rule.models]
            yield from _unknown_features(f"alerts {rule.name}", (*rule.features, *rule.except_features), models)
    others = [reference.model_version for reference in settings.drift.references if isinstance(reference, OtherVersion)]
    yield from _unknown("drift.references", others, {record.model_version for record in records})


def _examine_suites(settings: Settings) -> Iterator[Finding]:
    try:
        suites, names = read_suites(settings), list(settings.suite_texts)
    except DriftlakeError as error:
        yield _failed("contracts.suites", error)
        return
    if ignored := [name for name in names if source_of(name) is None]:
        message = f"nothing reads {', '.join(ignored)} in {settings.suite_folder}"
        yield Finding("contracts.suites", False, message, f"the name must begin with {', '.join(SUITES)}")
    elif names:
        count = sum(map(len, suites.values()))
        yield Finding("contracts.suites", True, f"{len(names)} files: {count} expectations")


def _unknown_features(setting: str, names: Sequence[str], records: Sequence[LineageRecord]) -> Iterator[Finding]:
    """Where every lineage file lists its features; those that do not have any."""
    if all(record.features is not None for record in records):
        yield from _unknown(setting, names, {name for record in records for name in record.features or ()})


def _unknown(setting: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Finding]:
    """Names in the settings that no lineage file has; without a word they would do nothing."""
    known = sorted(set(known))
    if unknown := [name for name in names if name not in known]:
        message = f"no lineage file has {', '.join(unknown)}"
        yield Finding(setting, False, message, f"correct the name, or add its lineage file; known: {', '.join(known)}")


def _examine_catalog(settings: Settings) -> Finding:
    catalog = catalog_of(settings)
    try:
        require_place("warehouse.data", settings.resolve(settings.warehouse.data))
        catalog.require_writable()
        if catalog.is_missing():
            return Finding("warehouse", True, f"{catalog.name} will be created by the first run")
        with Warehouse.open(settings, read_only=True) as warehouse:
            rows = warehouse.sql(
                "select count(distinct dt) as days, max(snapshot_id) as snapshot from partition_runs"
            ).to_pylist()[0]
    except DriftlakeError as error:
        return _failed("warehouse", error)
    except duckdb.Error as error:
        return Finding("warehouse", False, str(error), "restore the catalog from a backup, or point to another one")
    return Finding("warehouse", True, f"{rows['days']} days processed, newest snapshot {rows['snapshot']}")


def _failed(subject: str, error: DriftlakeError) -> Finding:
    return Finding(subject, False, error.message, error.hint)
