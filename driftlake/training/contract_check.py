"""Checks training data against its contract when a version is registered.

Not here: the rules (`expectations.training`) and what happens to a version that breaks them (`driftlake.training.registration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import duckdb
import numpy as np

from driftlake.config import Settings
from driftlake.contract.custom_suites import ROWS, hold
from driftlake.contract.row_checks import Contract, ContractCheck, Measurement
from driftlake.contract.score_checks import LabelledScores, check_scores
from driftlake.contract.suite_files import CustomExpectation
from driftlake.errors import InputError
from driftlake.inputs.parquet_sql import apart_by_case, rows_of
from driftlake.lake.queries import literal
from driftlake.lake.session import open_session
from driftlake.lineage.label_meaning import LabelMeaning
from driftlake.lineage.lineage_files import LineageFile, score_divisor
from driftlake.lineage.versions import SCORE
from driftlake.training.learning import Learned, TrainingData
from driftlake.training.targets import labels_and_scores


def check_training(
    settings: Settings,
    contract: Contract,
    file: LineageFile,
    data: TrainingData,
    learned: list[Learned],
    meaning: LabelMeaning | None,
    day: date,
) -> list[ContractCheck]:
    """Outcomes of the rules and of the user's suites over the training data of a version, as of `day`.

    Raises InputError if a rule of severity error is broken.
    """
    record = file.record
    source_names = {"target": record.target, "score": record.score}
    contract = replace(contract, source_names={name: own for name, own in source_names.items() if own})
    with open_session(settings, data.paths) as connection:
        _create_views(connection, file, data, day, contract.suites)
        checks = contract.check(connection, [day])
        if contract.suites:
            checks += hold(connection, contract.suites, contract.source, day)
    for feature in learned:
        if feature.counts is not None:
            values = feature.counts.bins[0, 1:]
            is_constant = (values > 0).sum() < 2  # bins
            rows = int(feature.counts.bins[0].sum())
            found = Measurement(day, rows, rows if is_constant else 0)
            checks += contract.measured("feature_varies", found, column=feature.bins.feature)
    checks += _check_scores(contract, file, data, learned, meaning, day)
    if broken := [check.message for check in checks if check.is_broken]:
        raise InputError(
            f"{file.path}: the training data of {record.model_id} {record.model_version} breaks its contract: "
            + "; ".join(broken),
            hint="correct the data or the lineage, or give the rule another severity under contracts.severities",
        )
    owner = (record.model_id, record.model_version)
    return [replace(check, model_id=owner[0], model_version=owner[1]) for check in checks]


def _check_scores(
    contract: Contract,
    file: LineageFile,
    data: TrainingData,
    learned: Sequence[Learned],
    meaning: LabelMeaning | None,
    day: date,
) -> list[ContractCheck]:
    """Whether the scores of the training data are what the lineage declares."""
    record = file.record
    bins = next((item.bins for item in learned if item.bins.feature == SCORE), None)
    if record.task != "binary" or record.target is None or record.score is None or bins is None:
        return []
    labels, scores = labels_and_scores(data, record, meaning)
    bin_ids = bins.bin_ids(scores)
    positives, negatives = (np.bincount(bin_ids[labels == label], minlength=bins.bin_count) for label in (1, 0))
    total = float(scores[np.isfinite(scores) & np.isfinite(labels)].sum())
    labelled = LabelledScores(positives, negatives, total, record.is_probability)
    return check_scores(contract, day, (record.model_id, record.model_version), labelled)


def _create_views(
    connection: duckdb.DuckDBPyConnection,
    file: LineageFile,
    data: TrainingData,
    day: date,
    expectations: Sequence[CustomExpectation],
) -> None:
    """Create the view training_rows, and the view ROWS with the column names of the files for the user's suites."""
    record = file.record
    named = [name for name, kind in data.types.items() if kind.num_fields == 0]
    asked = [column for expectation in expectations for column in expectation.columns]
    connection.execute(f"create view {ROWS} as {rows_of(data.files, {n: n for n in apart_by_case(named, asked)})}")
    read = {"target": record.target, "score": record.score}
    rows = rows_of(data.files, {name: own if own in named else None for name, own in read.items()})
    connection.execute(
        f"create view training_rows as select date {literal(str(day))} as dt,"
        f" target::varchar as target, {str(record.target is not None).lower()} as has_target,"
        f" try_cast(score as double) / {score_divisor(record.score_kind)} as score, {str(record.is_probability).lower()} as is_score_probability"
        f" from ({rows})"
    )
