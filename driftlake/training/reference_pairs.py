"""Counts training data by pairs of features, once for each version and configured pair.

Not here: how a pair is counted (`driftlake.profiles.pair_counts`), and the first registration (`driftlake.training.registration`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from driftlake.config import Settings
from driftlake.contract.records import PERSONAL_DATA
from driftlake.errors import ConfigurationError
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageFile
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.profiles.kernel import Grouping
from driftlake.profiles.pair_counts import Pair, PairAccumulator, bins_in_pairs
from driftlake.training.learning import TrainingData


def count_reference_pairs(warehouse: Warehouse, settings: Settings, files: Sequence[LineageFile]) -> None:
    """Fill reference_pair_profile for registered versions that have both features of a pair.

    Raises InputError if training data cannot be read any more, ConfigurationError for a pair that no version has.
    """
    if not any(model.pairs for model in settings.models.values()):
        return
    versions = load_versions(warehouse)
    _require_features(settings, versions, _left_out(warehouse))
    for file in files:
        version = versions[file.record.model_id, file.record.model_version]
        for pair in settings.pairs_of(version.model_id):
            key = {**version.owner, "feature_a": pair[0], "feature_b": pair[1]}
            if set(pair) <= version.features.keys() and not warehouse.has_rows("reference_pair_profile", key):
                # another process may have counted it in the meantime
                rows = {"reference_pair_profile": _count(file, version, pair)}
                warehouse.append_once(rows, "reference_pair_profile", key)


def _left_out(warehouse: Warehouse) -> set[tuple[str, str]]:
    """Model and name of features that were left out of some version because they contain personal data."""
    rows = warehouse.sql(
        "select distinct model_id, column_name from contract_checks where source = 'training' and expectation = ?",
        [PERSONAL_DATA],
    ).to_pylist()
    return {(row["model_id"], row["column_name"]) for row in rows}


def _require_features(
    settings: Settings, versions: Mapping[tuple[str, str], ModelVersion], left_out: Collection[tuple[str, str]]
) -> None:
    for model_id, model in settings.models.items():
        features = [version.features.keys() for key, version in versions.items() if key[0] == model_id]
        for pair in model.pairs:
            wanted = {name for name in pair if (model_id, name) not in left_out}
            if features and not any(wanted <= of_version for of_version in features):
                raise ConfigurationError(
                    f"models.{model_id}.pairs: no version of {model_id} has the features {' and '.join(pair)}",
                    hint=f"the features are {', '.join(sorted(set().union(*features)))}",
                )


def _count(file: LineageFile, version: ModelVersion, pair: Pair) -> pa.Table:
    data = TrainingData(file)
    bins = [bins_in_pairs(version.features[name], data.column(name)) for name in pair]
    accumulator = PairAccumulator([pair], 1)
    accumulator.add_values(*bins, groupings=[Grouping.single(len(bins[0]))])
    [counts] = accumulator.counts()
    columns = counts.columns()
    rows = len(columns.pop("group"))
    owner = {name: pa.repeat(value, rows) for name, value in version.owner.items()}
    return pa.table(owner | columns, schema=arrow_schema("reference_pair_profile"))
