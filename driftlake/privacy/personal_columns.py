"""Chooses the columns to check for personal data, by day: those whose values are stored as text.

Not here: detecting personal data (`driftlake.privacy.personal_data`), and leaving columns out (`driftlake.inputs.predictions`, `driftlake.profiles.plan`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeAlias

from driftlake.config import TelemetrySettings
from driftlake.inputs.partitions import Partition
from driftlake.lineage.versions import ModelVersion
from driftlake.privacy.personal_data import Finding, scan_files

# Findings by day and column.
Findings: TypeAlias = Mapping[date, Mapping[str, Finding]]


def found_in_profiles(
    partitions: Sequence[Partition], telemetry: TelemetrySettings, versions: Iterable[ModelVersion]
) -> Findings:
    """Personal data in the columns that the profiles use; a field of a struct column is struct.field."""
    prefix = f"{telemetry.features_column}." if telemetry.features_column else ""
    features = {prefix + name for version in versions for name, bins in version.features.items() if bins.grid is None}
    return _found(partitions, telemetry, features | set(telemetry.high_cardinality) | _of_service(telemetry))


def found_in_predictions(partitions: Sequence[Partition], telemetry: TelemetrySettings) -> Findings:
    """Personal data in the columns of predictions by which labels are counted."""
    return _found(partitions, telemetry, _of_predictions(telemetry))


def found_in_explanations(partitions: Sequence[Partition], telemetry: TelemetrySettings) -> Findings:
    """Personal data in the text columns of files of SHAP sums."""
    return _found(partitions, telemetry, {"segment", "feature", "deployment"})


def _of_service(telemetry: TelemetrySettings) -> set[str]:
    named = (telemetry.columns.get(name, name) for name in ("error_kind", "node_id"))
    return {*named, *_of_predictions(telemetry)}


def _of_predictions(telemetry: TelemetrySettings) -> set[str]:
    named = (telemetry.columns.get(name, name) for name in ("predicted_class", "deployment"))
    return {*named, *telemetry.segments}


def _found(partitions: Sequence[Partition], telemetry: TelemetrySettings, columns: Collection[str]) -> Findings:
    if not telemetry.personal_data.blocked:
        return {}
    wanted = sorted(set(columns) - set(telemetry.personal_data.exempt))
    return {each.dt: scan_files([file.path for file in each.files], wanted) for each in partitions}
