"""Counts training data by segment, once for each version and configured segment column.

Not here: the bins, which are the version's own (`driftlake.training.learning`), and the first registration (`driftlake.training.registration`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from driftlake.config import Settings, TelemetrySettings
from driftlake.contract.records import PERSONAL_DATA, checks_of_training
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageFile
from driftlake.lineage.versions import SCORE, ModelVersion, load_versions
from driftlake.maths.segments import SegmentColumn
from driftlake.profiles.kernel import Grouping, count_column
from driftlake.training.learning import TrainingData, scores_of


def count_reference_segments(warehouse: Warehouse, settings: Settings, files: Sequence[LineageFile]) -> None:
    """Fill segment_reference_profile for registered versions.

    There are no segments for a column that the training data lacks, or that contains personal data.

    Raises InputError if training data cannot be read any more.
    """
    if not settings.telemetry.segments:
        return
    versions = load_versions(warehouse)
    for file in files:
        version = versions[file.record.model_id, file.record.model_version]
        for name in settings.telemetry.segments:
            if not warehouse.has_rows("segment_reference_profile", {**version.owner, "segment_column": name}):
                _count(warehouse, file, version, name, settings.telemetry)


def _count(
    warehouse: Warehouse, file: LineageFile, version: ModelVersion, segment_column: str, telemetry: TelemetrySettings
) -> None:
    known = {**version.owner, "source": "training", "expectation": PERSONAL_DATA, "column_name": segment_column}
    settings = telemetry.personal_data
    if settings.blocked and segment_column not in settings.exempt and warehouse.has_rows("contract_checks", known):
        return
    data = TrainingData(file)
    if segment_column not in data.columns:
        return
    if found := data.personal_data([segment_column], settings):
        rows = checks_of_training(version.owner, [], found, datetime.now(UTC).date())
        warehouse.append_once({"contract_checks": rows}, "contract_checks", known)
        return
    values = data.column(segment_column)
    segments = SegmentColumn.most_frequent(segment_column, values, telemetry.segment_limit)
    grouping = Grouping.of(segments.positions(values, len(values)))
    rows = pa.concat_tables(_profiles(file, data, version, segments, grouping))
    # another process may have counted it in the meantime
    key = {**version.owner, "segment_column": segment_column}
    warehouse.append_once({"segment_reference_profile": rows}, "segment_reference_profile", key)


def _profiles(
    file: LineageFile, data: TrainingData, version: ModelVersion, segments: SegmentColumn, grouping: Grouping
) -> Iterator[pa.Table]:
    counted = [*version.features.items()]
    if version.score_bins and file.record.score:
        counted.append((SCORE, version.score_bins))
    for feature, bins in counted:
        column = scores_of(data, file.record) if bins is version.score_bins else data.column(feature)
        assert column is not None, "the lineage names the score"
        counts = count_column(column, bins, grouping, len(segments.segments)).bins
        groups, bin_ids = np.nonzero(counts)
        yield pa.table(
            {
                "model_id": pa.repeat(version.model_id, len(groups)),
                "model_version": pa.repeat(version.model_version, len(groups)),
                "segment_column": pa.repeat(segments.name, len(groups)),
                "segment": pa.array(segments.segments, pa.string()).take(pa.array(groups)),
                "feature": pa.repeat(feature, len(groups)),
                "bin_id": bin_ids,
                "row_count": counts[groups, bin_ids],
            },
            schema=arrow_schema("segment_reference_profile"),
        )
