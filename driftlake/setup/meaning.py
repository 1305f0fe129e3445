"""Reports how doctor interprets the files: features and their kinds, values of labels, scores.

Not here: whether files can be read (`driftlake.setup.doctor`), and the same checks in a run
(`driftlake.contract.score_checks`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import duckdb
import numpy as np

from driftlake.config import LABELS, TELEMETRY, ModelSettings, Settings
from driftlake.contract.sample_gate import version_of_record
from driftlake.errors import DriftlakeError
from driftlake.inputs.parquet_files import first_line
from driftlake.inputs.partitions import readable
from driftlake.inputs.predictions import Reading, create_version_tables, create_view_of_partitions, percent_versions
from driftlake.lake import queries
from driftlake.lake.catalog import catalog_of
from driftlake.lake.session import open_session
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.label_meaning import declared_meaning
from driftlake.lineage.versions import ModelVersion, describe_features, load_versions
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.binning import FIRST_RANGE, probability_bins
from driftlake.maths.score_meaning import labelled_auc, score_problem
from driftlake.setup.findings import Finding
from driftlake.setup.input_report import Examined, ExaminedVersion
from driftlake.training.feature_choice import choose_features
from driftlake.training.learning import is_categorical
from driftlake.training.targets import meaning_of_target
from driftlake.vocabulary.wording import counted, first_of

# Number of newest days that are examined.
_LABEL_DAYS, _PREDICTION_DAYS = 7, 14
_SHOWN_LABELS, _SHOWN_VERSIONS = 6, 3
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


def examine_meaning(
    settings: Settings, inputs: Sequence[Examined], files: Sequence[ExaminedVersion], registered: _Versions
) -> Iterator[Finding]:
    """Findings about features, labels and scores."""
    versions = dict(registered)
    for version in files:
        yield from (Finding("lineage", True, remark) for remark in version.file.remarks)
        if version.key in registered:
            yield Finding(" ".join(version.key), True, registered[version.key].features_description)
        else:
            found, versions[version.key] = _examine_version(settings, version)
            yield found
    by_source = {examined.source: examined for examined in inputs}
    try:
        yield from _examine_rows(settings, by_source.get(TELEMETRY), by_source.get(LABELS), versions)
    except (DriftlakeError, duckdb.Error, OSError) as error:
        yield Finding(
            "rows", False, f"the rows of the newest days cannot be read: {first_line(error)}", "correct the files"
        )


def registered_versions(settings: Settings) -> Mapping[tuple[str, str], ModelVersion]:
    """The registered versions; none before the first run. Raises WarehouseError, StorageError or an error of DuckDB."""
    if catalog_of(settings).is_missing():
        return {}
    with Warehouse.open(settings, read_only=True) as warehouse:
        return load_versions(warehouse)


def _examine_version(settings: Settings, version: ExaminedVersion) -> tuple[Finding, ModelVersion]:
    """The features of a version, and the version as the first run will register it, without learned bins."""
    subject, file, data = " ".join(version.key), version.file, version.data
    meaning = declared_meaning(file.record, settings)
    try:
        if isinstance(data, DriftlakeError):
            raise data
        choice = choose_features(file, data, settings)
        meaning = meaning_of_target(file, data, settings)
        corrections = settings.models.get(file.record.model_id, ModelSettings())
        kinds = {
            name: "category" if is_categorical(data.column(name), name, corrections) else "number"
            for name in choice.features
        }
    except DriftlakeError as error:
        return Finding.of_error(subject, error), version_of_record(file.record, meaning)
    left_out = [f"{name}: {reason}" for name, reason in choice.left_out.items()]
    return Finding(subject, True, describe_features(kinds, left_out)), version_of_record(file.record, meaning)


def _examine_rows(
    settings: Settings, telemetry: Examined | None, labels: Examined | None, versions: _Versions
) -> Iterator[Finding]:
    with open_session(settings) as connection:
        create_version_tables(connection, list(versions.values()), settings.models)
        if telemetry:
            percentages = percent_versions(versions.values())
            reading = Reading(telemetry.columns, settings.mapping_of(TELEMETRY), percent_versions=percentages)
            create_view_of_partitions(connection, "predictions", readable(telemetry.newest(_PREDICTION_DAYS)), reading)
            yield from _version_findings(queries.run(connection, "doctor/predicted_versions").fetchall())
        if labels:
            reading = Reading(labels.columns, settings.mapping_of(LABELS))
            create_view_of_partitions(connection, "labels", readable(labels.newest(_LABEL_DAYS)), reading)
            if versions:
                yield _encoding_finding(versions.values())
            if counts := queries.run(connection, "doctor/label_values").fetchall():
                yield _labels_finding(counts)
        if not telemetry or not labels:
            return
        found = queries.run(connection, "doctor/labelled_scores").fetchnumpy()
    for number, version in enumerate(versions.values()):
        own = found["version_id"] == number
        if version.task == "binary" and own.any():
            yield from _examine_scores(version, found["score"][own], found["label"][own])


def _version_findings(counts: Sequence[tuple[str | None, str | None, int, bool]]) -> Iterator[Finding]:
    """The versions of the predictions; unknown versions are quoted, so that blanks at their ends are visible."""
    for is_known in (True, False):
        named = [
            f"{model} {version if known else repr(version)} ({counted(rows, 'row')})"
            for model, version, rows, known in counts
            if known == is_known
        ]
        shown = first_of(named, _SHOWN_LABELS, others="other versions")
        if named and is_known:
            yield Finding("telemetry versions", True, shown)
        elif named:
            hint = "add their lineage files, or deliver model_id and model_version as in the lineage files"
            yield Finding("telemetry versions", False, f"no lineage file has {shown}: these rows are not counted", hint)


def _encoding_finding(versions: Iterable[ModelVersion]) -> Finding:
    """The meanings of labels, each with its versions."""
    by_meaning: defaultdict[str, list[str]] = defaultdict(list)
    for version in versions:
        by_meaning[_meaning_of_labels(version)].append(f"{version.model_id} {version.model_version}")
    shown = [f"{first_of(names, _SHOWN_VERSIONS)}: {meaning}" for meaning, names in by_meaning.items()]
    return Finding("label encoding", True, "; ".join(shown))


def _meaning_of_labels(version: ModelVersion) -> str:
    if version.classes:
        return f"the classes {first_of(version.class_names, _SHOWN_LABELS)}"
    if version.task != "binary":
        return "numbers"
    if version.positive_label is None:
        return "1 is positive, 0 is negative"
    negative = "every other label" if version.negative_label is None else version.negative_label
    return f"{version.positive_label} is positive, {negative} is negative"


def _labels_finding(counts: Sequence[tuple[str | None, int, bool]]) -> Finding:
    named = [f"{text or 'none'} ({counted(count, 'row')})" for text, count, _ in counts]
    shown = first_of(named, _SHOWN_LABELS, others="other values")
    refused = sum(count for _, count, is_counted in counts if not is_counted)
    if refused:
        return Finding(
            "label values",
            False,
            f"{shown}; {counted(refused, 'row')} with a label that no model counts",
            _DECLARE_LABELS,
        )
    return Finding("label values", True, shown)


def _examine_scores(version: ModelVersion, scores: Floats, labels: Floats) -> Iterator[Finding]:
    """Check whether labelled scores, both of shape (rows,), are what the lineage declares."""
    subject = f"score of {version.model_id} {version.model_version}"
    is_probability = version.score_kind == "probability"
    positives, negatives = _per_bin(scores, labels, is_probability=is_probability)
    value = labelled_auc(positives, negatives)
    ranks = "" if np.isnan(value) else f"AUC {value:.3f} over "
    shown = f"{scores.min():.4g} to {scores.max():.4g}, {ranks}{len(scores):,} labels"
    if is_probability and (scores.min() < 0 or scores.max() > 1):
        kind = "percent" if scores.min() >= 0 and scores.max() <= _HIGHEST_PERCENTAGE else "value"
        hint = f"say `score_kind: {kind}` in the lineage"
        yield Finding(subject, False, f"{shown}; a probability is expected", hint)
    elif found := score_problem(positives, negatives, float(scores.sum()), is_probability=is_probability):
        looks = {
            "reversed": "it ranks the labels the wrong way round",
            "confidence": "it is never below 0.5, as the probability of the predicted class is",
        }
        yield Finding(subject, False, f"{shown}; {looks[found]}", _DECLARE_SCORE[found])
    else:
        yield Finding(subject, True, shown)


def _per_bin(scores: Floats, labels: Floats, *, is_probability: bool) -> tuple[Counts, Counts]:
    """Labels per score bin, each of shape (bins,); if the score is not a probability, every distinct score is a bin."""
    bins = probability_bins("score")
    distinct, places = np.unique(scores, return_inverse=True)
    ids = bins.bin_ids(scores).astype(np.int64) if is_probability else FIRST_RANGE + places
    width = max(bins.bin_count, FIRST_RANGE + len(distinct))
    positives, negatives = (np.bincount(ids[labels == label], minlength=width) for label in (1, 0))
    return positives, negatives
