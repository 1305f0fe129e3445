"""Checks an installation before it runs: one finding per check.

Not here: checks of rows (`driftlake.contract`) and of stored rows (`driftlake.lake.verification`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from driftlake.config import LABELS, SOURCES, TELEMETRY, OtherVersion, Settings, load_settings
from driftlake.contract.suite_files import SOURCES as SUITES
from driftlake.contract.suite_files import read_suites, source_of
from driftlake.engines import engine_of
from driftlake.errors import DriftlakeError
from driftlake.lake.catalog import catalog_of
from driftlake.lake.duckdb_extensions import load_extension
from driftlake.lake.migration import VERSIONS, version_of
from driftlake.lake.process_memory import bound_memory
from driftlake.lake.s3 import extensions_to_reach, require_place
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageRecord, read_lineage_folder
from driftlake.setup import input_report
from driftlake.setup.findings import Finding
from driftlake.setup.input_report import Examined, ExaminedVersion
from driftlake.setup.meaning import examine_meaning, registered_versions
from driftlake.setup.workspace import examine_workspace
from driftlake.training.learning import TrainingData
from driftlake.vocabulary.signals import FEATURE
from driftlake.vocabulary.wording import counted


def examine(config: Path | None) -> Iterator[Finding]:
    """Check the configuration and everything it names."""
    try:
        settings = load_settings(config, require_inputs=True)
        bound_memory(settings)
    except DriftlakeError as error:
        yield Finding.of_error("configuration", error)
        return
    yield Finding("configuration", True, f"days from {settings.start} to {settings.end or 'today'}")
    yield from _examine_extensions(settings)
    yield from _examine_engine(settings)
    inputs = _inputs_of(settings)
    yield from _examine_inputs(inputs)
    yield from _examine_lineage(settings)
    yield from _examine_versions(settings, [found for found in inputs if isinstance(found, Examined)])
    yield from _examine_suites(settings)
    yield examine_workspace(settings)
    yield _examine_catalog(settings)


def _examine_extensions(settings: Settings) -> Iterator[Finding]:
    catalog, places = catalog_of(settings), [*settings.input_locations.values(), settings.warehouse.data]
    needed = {catalog.extension: catalog.extra, "ducklake": None, **extensions_to_reach(places)}
    for name, extra in needed.items():
        try:
            with duckdb.connect() as connection:
                load_extension(connection, name, extra=extra)
            yield Finding(f"extension {name}", True, f"loads into DuckDB {duckdb.__version__}")
        except DriftlakeError as error:
            yield Finding.of_error(f"extension {name}", error)


def _examine_engine(settings: Settings) -> Iterator[Finding]:
    if settings.engine == "spark":
        try:
            engine_of(settings)
            yield Finding("engine", True, f"pyspark and Java are installed, and {settings.spark.master} answers")
        except DriftlakeError as error:
            yield Finding.of_error("engine", error)


def _inputs_of(settings: Settings) -> list[Examined | Finding]:
    places = [(source, settings.location_of(source)) for source in SOURCES if source.is_daily]
    return [input_report.examine_input(settings, source, location) for source, location in places if location]


def _examine_inputs(inputs: Sequence[Examined | Finding]) -> Iterator[Finding]:
    understood = {}
    for found in inputs:
        if isinstance(found, Finding):
            yield found
        else:
            understood[found.source] = found
            yield from input_report.lines(found)
    if TELEMETRY in understood and LABELS in understood:
        yield from input_report.matched_ids(understood[TELEMETRY], understood[LABELS])


def _examine_versions(settings: Settings, inputs: Sequence[Examined]) -> Iterator[Finding]:
    """Findings about the meaning of the inputs, and about the training data of each version; data of a registered version need not exist."""
    try:
        versions = [ExaminedVersion.of(file) for file in read_lineage_folder(settings)]
        registered = registered_versions(settings)
    except (DriftlakeError, duckdb.Error):
        # separate findings
        return
    yield from examine_meaning(settings, inputs, versions, registered)
    for version in versions:
        if version.key in registered:
            yield replace(input_report.training_files(version), is_well=True, hint=None)
        elif isinstance(version.data, TrainingData):
            yield input_report.training_files(version)


def _examine_lineage(settings: Settings) -> Iterator[Finding]:
    folder = settings.resolve(settings.lineage.path)
    try:
        require_place("lineage.path", folder, holds_input=True)
        records = [file.record for file in read_lineage_folder(settings)]
    except DriftlakeError as error:
        yield Finding.of_error("lineage", error)
        return
    if not records:
        yield Finding("lineage", False, f"{folder} has no *.yaml", "write one lineage file per model version")
        return
    names = ", ".join(f"{record.model_id} {record.model_version}" for record in records)
    yield Finding("lineage", True, f"{counted(len(records), 'file')}: {names}")
    yield from _unknown("models", settings.models, {record.model_id for record in records})
    yield from _unknown(
        "slos", [slo.model for slo in settings.slos if slo.model], {record.model_id for record in records}
    )
    for slo in settings.slos:
        models = [record for record in records if slo.model in {None, record.model_id}]
        yield from _unknown_features(f"slos {slo.name}", slo.features, models)
    for rule in settings.alert_rules:
        yield from _unknown(f"alerts {rule.name}", rule.models, {record.model_id for record in records})
        if rule.signal_record.source.about == FEATURE:
            models = [record for record in records if not rule.models or record.model_id in rule.models]
            yield from _unknown_features(f"alerts {rule.name}", (*rule.features, *rule.except_features), models)
    others = [reference.model_version for reference in settings.drift.references if isinstance(reference, OtherVersion)]
    yield from _unknown("drift.references", others, {record.model_version for record in records})


def _examine_suites(settings: Settings) -> Iterator[Finding]:
    try:
        suites, names = read_suites(settings), list(settings.suite_texts)
    except DriftlakeError as error:
        yield Finding.of_error("contracts.suites", error)
        return
    if ignored := [name for name in names if source_of(name) is None]:
        message = f"nothing reads {', '.join(ignored)} in {settings.suite_folder}"
        yield Finding("contracts.suites", False, message, f"the name must begin with {', '.join(SUITES)}")
    elif names:
        count = sum(map(len, suites.values()))
        found = f"{counted(len(names), 'file')}: {counted(count, 'expectation')}"
        yield Finding("contracts.suites", True, found)


def _unknown_features(setting: str, names: Sequence[str], records: Sequence[LineageRecord]) -> Iterator[Finding]:
    """Features in the settings that no lineage file has; only if every lineage file lists its features."""
    if all(record.features is not None for record in records):
        yield from _unknown(setting, names, {name for record in records for name in record.features or ()})


def _unknown(setting: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Finding]:
    """Names in the settings that no lineage file has and that would silently have no effect."""
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
            version, format_version = version_of(warehouse.connection), warehouse.format_version
    except DriftlakeError as error:
        return Finding.of_error("warehouse", error)
    except duckdb.Error as error:
        return Finding("warehouse", False, str(error), "restore the catalog from a backup, or point to another one")
    upgrade = (
        f"; the next command that writes will upgrade them to version {len(VERSIONS)}, so run `driftlake backup` first"
        if version < len(VERSIONS)
        else ""
    )
    return Finding(
        "warehouse",
        version <= len(VERSIONS),
        f"{rows['days']} days processed, newest snapshot {rows['snapshot']}, DuckLake format {format_version},"
        f" tables of version {version}{upgrade}",
        "install the newer release of driftlake that upgraded it" if version > len(VERSIONS) else None,
    )
