"""Draws a sample of the training data of each version, once: rows of reference_sample.

Not here: bins (`driftlake.maths.binning`), the sample of predictions (`driftlake.profiles.row_samples`), and the first registration (`driftlake.training.registration`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from driftlake.config import Settings
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageFile
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.maths.encoding import stored_bins
from driftlake.profiles.row_samples import lists_of
from driftlake.training.learning import TrainingData


def take_reference_samples(warehouse: Warehouse, settings: Settings, files: Sequence[LineageFile]) -> None:
    """Fill reference_sample for registered versions, if samples are configured.

    Raises InputError if training data cannot be read any more.
    """
    asked = settings.drift.multivariate
    if asked is None:
        return
    versions = load_versions(warehouse)
    for file in files:
        version = versions[file.record.model_id, file.record.model_version]
        if not warehouse.has_rows("reference_sample", version.owner):
            # another process may have drawn it in the meantime
            rows = {"reference_sample": _take(warehouse, file, version, asked.reference_rows)}
            warehouse.append_once(rows, "reference_sample", version.owner)


def _take(warehouse: Warehouse, file: LineageFile, version: ModelVersion, sample_rows: int) -> pa.Table:
    data = TrainingData(file)
    sampled = warehouse.query("lineage/sampled_positions", row_count=data.row_count(), sample_rows=sample_rows)
    positions = sampled["row_number"].combine_chunks()
    columns = (stored_bins(bins, data.column(name).take(positions)) for name, bins in version.features.items())
    return pa.table(
        {
            "model_id": pa.repeat(version.model_id, len(positions)),
            "model_version": pa.repeat(version.model_version, len(positions)),
            "row_hash": sampled["row_hash"],
            "bins": lists_of(np.stack(list(columns), axis=1)),
        },
        schema=arrow_schema("reference_sample"),
    )
