"""Records of what was read and what was refused: rows of input_files and contract_checks.

Not here: deciding what is refused (`driftlake.inputs`, `driftlake.contract.row_checks`) and what it means for a day (`driftlake.nightly`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from driftlake.contract.row_checks import ContractCheck
from driftlake.inputs.features import RefusedFeature
from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.partitions import Partition, modified_at
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Addition, Replacement, Warehouse
from driftlake.privacy.personal_columns import Findings
from driftlake.privacy.personal_data import Finding

Row = dict[str, Any]

# the expectation that is broken by an optional column of a type that cannot be read
UNREAD_COLUMN = "column_is_readable"
# the expectation that is broken by a column that is left out for personal data
PERSONAL_DATA = "column_holds_no_personal_data"


def failed_checks(
    source: str,
    partitions: Sequence[Partition],
    checks: Sequence[ContractCheck],
    refused_features: Sequence[RefusedFeature] = (),
    personal_data: Findings | None = None,
) -> list[Row]:
    """Failed rows of contract_checks: those of the suite, and one for every day, file or feature that was refused before."""
    rows = [_suite_row(check) for check in checks if check.outcome == "failed"]
    rows += [_refused_file_row(source, file) for partition in partitions for file in partition.refusals]
    rows += [
        _unread_column_row(source, file, column)
        for partition in partitions
        for file in partition.readable.files
        for column in file.unread_columns
    ]
    rows += [_refused_feature_row(refused) for refused in refused_features]
    of_days = (personal_data or {}).items()
    rows += [_personal_data_row(source, dt, *column) for dt, columns in of_days for column in columns.items()]
    return rows


def checks_of_training(
    owner: Mapping[str, str], checks: Sequence[ContractCheck], found: Mapping[str, Finding], day: date
) -> pa.Table:
    """Rows of contract_checks about the training data of a version, with the columns that are left out of it."""
    rows = [_suite_row(check) for check in checks]
    rows += [{**_personal_data_row("training", day, *column), **owner} for column in found.items()]
    return pa.Table.from_pylist(rows, schema=arrow_schema("contract_checks"))


def stored_failures(warehouse: Warehouse, source: str, days: Sequence[date]) -> list[Row]:
    """Failed rows of contract_checks, as they were stored when the days were last processed."""
    rows: list[Row] = warehouse.sql(
        "select * from contract_checks where source = ? and outcome = 'failed' and list_contains(?::date[], dt)"
        " order by dt, severity, expectation, column_name",
        [source, list(days)],
    ).to_pylist()
    return rows


def audit_replacements(
    source: str, partitions: Sequence[Partition], checks: Sequence[ContractCheck], failed: Sequence[Row]
) -> list[Replacement | Addition]:
    """The new rows of contract_checks and input_files for the days of `partitions`."""
    days = [partition.dt for partition in partitions]
    passed = [_suite_row(check) for check in checks if check.outcome == "passed"]
    files = [_file_row(source, file) for partition in partitions for file in partition.files]
    checked = pa.Table.from_pylist([*passed, *failed], schema=arrow_schema("contract_checks"))
    # the query adds who recorded a file, and when
    found = pa.Table.from_pylist(files, schema=arrow_schema("input_files")).drop_columns(
        ["seen_at", "run_id", "snapshot_id"]
    )
    return [
        Replacement("contract_checks", checked, days, {"source": source}),
        Addition("input_files", found, "contract/changed_input_files", {"source": source, "days": days}),
    ]


def _suite_row(check: ContractCheck) -> Row:
    return {
        "dt": check.dt,
        "source": check.source,
        "expectation": check.expectation,
        "column_name": check.column_name,
        "model_id": check.model_id,
        "model_version": check.model_version,
        "severity": check.severity,
        "outcome": check.outcome,
        "checked_count": check.checked_count,
        "unexpected_count": check.unexpected_count,
        "observed": check.observed or None,
        "message": check.message or None,
    }


def _refused(source: str, dt: date, expectation: str, row_count: int, message: str | None) -> Row:
    return {
        "dt": dt,
        "source": source,
        "expectation": expectation,
        "severity": "error",
        "outcome": "failed",
        "checked_count": row_count,
        "unexpected_count": row_count,
        "message": message,
    }


def _refused_file_row(source: str, file: InputFile) -> Row:
    return _refused(source, file.dt, "file_is_readable", file.row_count, file.refusal) | {"path": file.path}


def _unread_column_row(source: str, file: InputFile, column: str) -> Row:
    row = _refused(source, file.dt, UNREAD_COLUMN, file.row_count, file.unread_columns[column])
    return row | {"column_name": column, "path": file.path}


def _refused_feature_row(refused: RefusedFeature) -> Row:
    row = _refused("telemetry", refused.key.dt, "feature_is_readable", refused.row_count, refused.message)
    owner: Row = {"model_id": refused.key.model_id, "model_version": refused.key.model_version}
    return row | owner | {"column_name": refused.feature, "path": refused.path}


def _personal_data_row(source: str, dt: date, column: str, finding: Finding) -> Row:
    message = f"column {column} is left out: of {finding.checked_count:,} distinct values some look like {finding}"
    row = _refused(source, dt, PERSONAL_DATA, finding.unexpected_count, message)
    checked = {"checked_count": finding.checked_count, "observed": str(finding)}
    return row | checked | {"severity": "warning", "column_name": column}


def _file_row(source: str, file: InputFile) -> Row:
    return {
        "dt": file.dt,
        "source": source,
        "path": file.path,
        "size_bytes": file.size_bytes,
        "row_count": file.row_count if file.columns else None,
        "schema_fingerprint": file.schema_fingerprint,
        "content_fingerprint": file.content_fingerprint,
        "outcome": "refused" if file.refusal else "read",
        "reason": file.refusal,
        "table_version": file.table_version,
        "modified_at": modified_at(file.modified_ns),
    }
