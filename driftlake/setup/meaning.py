"""Reports how doctor interprets the files: features and their kinds, values of labels, scores.

Not here: whether files can be read (`driftlake.setup.doctor`), and the same checks in a run
(`driftlake.contract.score_checks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import duckdb
import numpy as np

from driftlake.config import LABELS, TELEMETRY, ModelSettings, Settings, Source
from driftlake.contract.sample_gate import versions_of_lineage
from driftlake.errors import DriftlakeError
from driftlake.inputs.listing import look_into
from driftlake.inputs.partitions import Partition, read_listed
from driftlake.inputs.predictions import Reading, create_version_tables, create_view_of_partitions, percent_versions
from driftlake.inputs.sources import columns_of
from driftlake.lake import queries
from driftlake.lake.catalog import catalog_of
from driftlake.lake.session import open_session
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageFile, read_lineage_folder
from driftlake.lineage.versions import ModelVersion, load_versions, told_choice
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.binning import FIRST_RANGE, probability_bins
from driftlake.maths.score_meaning import labelled_auc, suspicion
from driftlake.setup.findings import Finding
from driftlake.training.feature_choice import choose_features
from driftlake.training.learning import TrainingData, is_categorical
from driftlake.training.targets import meaning_of_target
from driftlake.vocabulary.wording import first_of

# Number of newest days that are examined.
_LABEL_DAYS, _PREDICTION_DAYS = 7, 14
_TOLD_LABELS = 6
_DECLARE_LABELS = (
    "say which label is positive: `labels.positive` in driftlake.yaml, or `labels: {positive: ...}` in the lineage"
)
_DECLARE_SCORE = {
    "reversed": f"{_DECLARE_LABELS}; or deliver the score of the positive class",
    "confidence": "deliver the probability of the positive class; that of the predicted class is the score of"
    " `task: multiclass` with `classes`",
}
_HIGHEST_PERCENTAGE = 100
_Versions: TypeAlias = Mapping[tuple[str, str], ModelVersion]


def examine_meaning(settings: Settings) -> Iterator[Finding]:
    """Findings about features, labels and scores; files that cannot be read are reported by other checks."""
    try:
        files = read_lineage_folder(settings)
        registered = registered_versions(settings)
    except (DriftlakeError, duckdb.Error):
        return
    for file in files:
        yield from (Finding("lineage", True, remark) for remark in file.remarks)
        yield _examine_features(settings, file, registered)
    versions = {**versions_of_lineage(settings), **registered}
    try:
        yield from _examine_labels(settings, versions)
    except (DriftlakeError, duckdb.Error, OSError):
        return


def registered_versions(settings: Settings) -> Mapping[tuple[str, str], ModelVersion]:
    """The registered versions; none before the first run. Raises WarehouseError, StorageError or an error of DuckDB."""
    if catalog_of(settings).is_missing():
        return {}
    with Warehouse.open(settings, read_only=True) as warehouse:
        return load_versions(warehouse)


def _examine_features(settings: Settings, file: LineageFile, registered: _Versions) -> Finding:
    record = file.record
    subject = f"{record.model_id} {record.model_version}"
    if version := registered.get((record.model_id, record.model_version)):
        return Finding(subject, True, version.told_features)
    corrections = settings.models.get(record.model_id, ModelSettings())
    try:
        data = TrainingData(file)
        choice = choose_features(file, data, settings)
        meaning_of_target(file, data, settings)
        kinds = {
            name: "category" if is_categorical(data.column(name), name, corrections) else "number"
            for name in choice.features
        }
    except DriftlakeError as error:
        return Finding(subject, False, error.message, error.hint)
    left_out = [f"{name}: {reason}" for name, reason in choice.left_out.items()]
    return Finding(subject, True, told_choice(kinds, left_out))


def _examine_labels(settings: Settings, versions: _Versions) -> Iterator[Finding]:
    labels = _newest(settings, LABELS, _LABEL_DAYS)
    if not labels or settings.labels is None:
        return
    with open_session(settings) as connection:
        create_version_tables(connection, list(versions.values()), settings.models)
        reading = Reading(columns_of(LABELS, settings, has_classes=True), settings.labels.columns)
        create_view_of_partitions(connection, "labels", labels, reading)
        counts = queries.run(connection, "doctor/label_values").fetchall()
        if counts:
            yield _told_labels(counts)
        predictions = _newest(settings, TELEMETRY, _PREDICTION_DAYS)
        columns, percentages = columns_of(TELEMETRY, settings), percent_versions(versions.values())
        reading = Reading(columns, settings.telemetry.columns, percent_versions=percentages)
        create_view_of_partitions(connection, "predictions", predictions, reading)
        found = queries.run(connection, "doctor/labelled_scores").fetchnumpy()
    for number, version in enumerate(versions.values()):
        own = found["version_id"] == number
        if version.task == "binary" and own.any():
            yield from _examine_scores(version, found["score"][own], found["label"][own])


def _newest(settings: Settings, source: Source, days: int) -> Sequence[Partition]:
    location = settings.location_of(source)
    if location is None:
        return []
    columns = columns_of(source, settings, has_classes=True)
    listing = look_into(location, settings.partitioning_of(source))
    return read_listed(listing, location, listing.days[-days:], columns, settings.mapping_of(source))


def _told_labels(counts: Sequence[tuple[str | None, int, bool]]) -> Finding:
    named = [f"{text or 'none'} ({count:,} rows)" for text, count, _ in counts]
    told = first_of(named, _TOLD_LABELS, others="other values")
    refused = sum(count for _, count, is_counted in counts if not is_counted)
    if refused:
        return Finding(
            "label values", False, f"{told}; {refused:,} rows have values that no model counts", _DECLARE_LABELS
        )
    return Finding("label values", True, told)


def _examine_scores(version: ModelVersion, scores: Floats, labels: Floats) -> Iterator[Finding]:
    """Check whether labelled scores, both of shape (rows,), are what the lineage declares."""
    subject = f"score of {version.model_id} {version.model_version}"
    is_probability = version.score_kind == "probability"
    positives, negatives = _per_bin(scores, labels, is_probability=is_probability)
    value = labelled_auc(positives, negatives)
    ranks = "" if np.isnan(value) else f"AUC {value:.3f} over "
    told = f"{scores.min():.4g} to {scores.max():.4g}, {ranks}{len(scores):,} labels"
    if is_probability and (scores.min() < 0 or scores.max() > 1):
        kind = "percent" if scores.min() >= 0 and scores.max() <= _HIGHEST_PERCENTAGE else "value"
        hint = f"say `score_kind: {kind}` in the lineage"
        yield Finding(subject, False, f"{told}; a probability is expected", hint)
    elif found := suspicion(positives, negatives, float(scores.sum()), is_probability=is_probability):
        looks = {
            "reversed": "it ranks the labels the wrong way round",
            "confidence": "it is never below 0.5, as the probability of the predicted class is",
        }
        yield Finding(subject, False, f"{told}; {looks[found]}", _DECLARE_SCORE[found])
    else:
        yield Finding(subject, True, told)


def _per_bin(scores: Floats, labels: Floats, *, is_probability: bool) -> tuple[Counts, Counts]:
    """Labels per score bin, each of shape (bins,); if the score is not a probability, every distinct score is a bin."""
    bins = probability_bins("score")
    distinct, places = np.unique(scores, return_inverse=True)
    ids = bins.bin_ids(scores).astype(np.int64) if is_probability else FIRST_RANGE + places
    width = max(bins.bin_count, FIRST_RANGE + len(distinct))
    positives, negatives = (np.bincount(ids[labels == label], minlength=width) for label in (1, 0))
    return positives, negatives
