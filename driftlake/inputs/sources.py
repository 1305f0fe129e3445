"""The configured sources of input: their columns, and their files of the given days.

Not here: which sources there are (`driftlake.config.sources`), files and folders themselves (`driftlake.inputs.partitions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from driftlake.config import EXPLANATIONS, LABELS, Settings, Source
from driftlake.inputs.columns import EXPLANATION_COLUMNS, CanonicalColumn, label_columns, telemetry_columns
from driftlake.inputs.partitions import Partition, read_partitions


def read_source(settings: Settings, source: Source, days: Sequence[date]) -> list[Partition]:
    """A source as it is delivered; nothing if there is none. Which labels are classes is known when the versions are."""
    location = settings.location_of(source)
    if location is None:
        return []
    return read_partitions(
        location, days, columns_of(source, settings), settings.mapping_of(source), settings.partitioning_of(source)
    )


def columns_of(source: Source, settings: Settings, *, has_classes: bool = True) -> tuple[CanonicalColumn, ...]:
    """The canonical and configured columns of a daily source; labels may be classes if a model `has_classes`."""
    if source == LABELS:
        return label_columns(has_classes=has_classes)
    if source == EXPLANATIONS:
        return EXPLANATION_COLUMNS
    telemetry = settings.telemetry
    return telemetry_columns(telemetry.segments, telemetry.latencies, telemetry.timezone)
