"""Sections about the inputs: telemetry, labels, lineage, and keys of pseudonyms.

Not here: the rules that inputs must meet (`driftlake.config.contracts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from driftlake.config.base import Section, SegmentName, TimeZone, no_repetition

# A label as files have it: text, a number or a boolean.
LabelValue: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr
_CODES_OF_DAY = {"%Y", "%m", "%d"}
_CODES = {*_CODES_OF_DAY, "%H", "%M", "%S"}


def _names_days(pattern: str) -> str:
    codes = set(re.findall("%.?", pattern))
    if not _CODES_OF_DAY <= codes <= _CODES:
        raise ValueError(
            f"a pattern of folder names has %Y, %m and %d once each, and optionally %H, %M, %S and *, found {pattern}"
        )
    return pattern


Partitioning = Annotated[str, AfterValidator(_names_days)]


class _ByName(Section):
    """A value for each name, given in one of several ways: columns with a common prefix, or the fields of one column."""

    prefix: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        *places, last = type(self).model_fields
        if sum(getattr(self, place) is not None for place in (*places, last)) != 1:
            raise ValueError(f"give one of {', '.join(places)} and {last}")
        return self

    @property
    def path_prefix(self) -> str | None:
        """What precedes a name in the path of its values; None if they are in no column."""
        return self.prefix if self.column is None else f"{self.column}."


class ShapSettings(_ByName):
    """SHAP values of predictions: columns with a common prefix, the fields of one column, or files of sums."""

    prefix: str | None = Field(
        default=None, description="Prefix of the column of each feature: prefix and feature name."
    )
    column: str | None = Field(default=None, description="STRUCT column with a field per feature.")
    path: str | None = Field(
        default=None,
        description="Folder or s3:// prefix that holds dt=YYYY-MM-DD/*.parquet with model_id, model_version, feature, "
        "row_count, absolute_sum and signed_sum, and optionally deployment and segment: values that are already "
        "summed.",
    )


class ClassScoreSettings(_ByName):
    """Probabilities that multiclass models give each class: columns with a common prefix, or one column."""

    prefix: str | None = Field(default=None, description="Prefix of the column of each class: prefix and class.")
    column: str | None = Field(default=None, description="STRUCT column with a field per class.")

    def paths(self, classes: Iterable[str]) -> dict[str, str]:
        """Path of the column of each class, by its name as labels and predictions are read; `classes` are as the lineage has them."""
        # pyarrow is imported only if there are class scores
        from driftlake.maths.value_text import category_text

        return {category_text(name): f"{self.path_prefix}{name}" for name in classes}


class OfflineSettings(Section):
    """Offline values of features for the same predictions, to find skew between training and serving."""

    path: str = Field(
        description="Folder or s3:// prefix that holds dt=YYYY-MM-DD/*.parquet by the day of the predictions, or a Delta or Iceberg "
        "table: correlation_id and a column for each feature to compare."
    )
    partitioning: Partitioning | None = Field(
        default=None, description="Names of the folders of days, as in telemetry.partitioning."
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="Name of the column of correlation_id, e.g. {correlation_id: request_id}."
    )
    tolerance: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="By numeric feature, the largest difference that counts as equal, e.g. {age: 0.5}; for others a millionth of "
        "the value, which is more than rounding to 32 bits.",
    )


class PersonalDataSettings(Section):
    """Whether text columns that look like personal data are left out."""

    blocked: bool = Field(
        default=True,
        description="Leave a feature, segment or other text column out if it holds emails, phone numbers, payment "
        "cards, "
        "IP addresses, IBANs or national ids.",
    )
    exempt: Annotated[tuple[str, ...], AfterValidator(no_repetition)] = Field(
        default=(), description="Columns that are kept although they look like personal data, e.g. [product_code]."
    )


class TelemetrySettings(Section):
    """Where predictions are and what their columns are called."""

    path: str = Field(
        description="Folder or s3:// prefix that holds dt=YYYY-MM-DD/*.parquet, a row per prediction, or a Delta or Iceberg "
        "table. Folders with other names that contain the day are found, too."
    )
    partitioning: Partitioning | None = Field(
        default=None,
        description="Names of the folders of days, if they are not recognised automatically: %Y, %m and %d stand for the day, * for "
        'anything, e.g. "day_%Y%m%d" or "*/%Y/%m/%d".',
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Canonical name: your column name, e.g. correlation_id: request_id. Columns with canonical names need no entry.",
    )
    features_column: str | None = Field(
        default=None,
        description="Column that holds the features, a STRUCT, a MAP or JSON as text; null if they are columns of their own.",
    )
    shap: ShapSettings | None = Field(
        default=None,
        description="SHAP values of the features, e.g. {prefix: shap_} or {column: shap}; null if there are none.",
    )
    class_scores: ClassScoreSettings | None = Field(
        default=None,
        description="Probability of each class of multiclass models, e.g. {prefix: p_} or {column: probabilities}; "
        "null if there are none. Without them, these models have no AUC and no estimates.",
    )
    high_cardinality: Annotated[tuple[str, ...], AfterValidator(no_repetition)] = Field(
        default=(),
        description="Columns (text, integer or boolean; struct.field for a field) with very many values, features or "
        "not, "
        "e.g. [merchant_id]: distinct values are counted, and the most frequent ones are stored as they are. "
        "Do not list a column that identifies a person.",
    )
    latencies: Annotated[tuple[str, ...], AfterValidator(no_repetition)] = Field(
        default=(),
        description="Numeric columns with the milliseconds of the stages of a prediction, measured like latency_ms, "
        "e.g. "
        "[feature_lookup_ms, preprocessing_ms, inference_ms].",
    )
    segments: tuple[SegmentName, ...] = Field(
        default=(),
        description="Columns (text, integer or boolean); everything is also counted for each of their values, e.g. "
        "[country].",
    )
    segment_limit: PositiveInt = Field(
        default=100,
        description="Largest number of segments of a column on a day: its most frequent values. The other values are "
        "counted together as (other).",
    )
    timezone: TimeZone | None = Field(
        default=None,
        description="IANA name of the time zone of event_time in files whose timestamps have no time zone, e.g. America/New_York; UTC by default.",
    )
    offline: OfflineSettings | None = Field(
        default=None,
        description="Values of features computed offline, which are compared with the served ones: feature_skew; null if there are none.",
    )
    personal_data: PersonalDataSettings = PersonalDataSettings()

    def path_of(self, feature: str) -> str:
        """The column of a feature in the files, or its path inside `features_column`."""
        return f"{self.features_column}.{feature}" if self.features_column else feature


def require_two_labels(positive: LabelValue | None, negative: LabelValue | None) -> None:
    """Raises ValueError if only the negative label is given, or both are the same."""
    if negative is not None and positive is None:
        raise ValueError("say which label is positive, too")
    if positive is not None and positive == negative:
        raise ValueError(f"the positive and the negative label are both {positive}")


class LabelSettings(Section):
    """Where labels are, and how long driftlake waits for them."""

    path: str = Field(
        description="Folder or s3:// prefix that holds dt=YYYY-MM-DD/*.parquet by arrival day, or a Delta or Iceberg table."
    )
    partitioning: Partitioning | None = Field(
        default=None, description="Names of the folders of days, as in telemetry.partitioning."
    )
    columns: dict[str, str] = Field(default_factory=dict, description="Canonical name: your column name.")
    horizon_days: PositiveInt = Field(
        default=60,
        description="Predictions older than this are no longer joined to labels, nor counted in the backlog. This "
        "limits what a run has to read.",
    )
    corrections: Literal["first", "latest"] = Field(
        default="first",
        description="Which label of a prediction counts: the first that arrived, or the latest, from the day it "
        "arrived.",
    )
    positive: LabelValue | None = Field(
        default=None,
        description="Positive label of binary models, e.g. 1 of -1 and 1, or bad of good and bad; null if labels are 0 and 1, or "
        "booleans. `labels.positive` in a lineage file takes precedence.",
    )
    negative: LabelValue | None = Field(
        default=None,
        description="Negative label; null is the other value of the training target, or every other label if there is no target.",
    )

    @model_validator(mode="after")
    def _two_labels(self) -> Self:
        require_two_labels(self.positive, self.negative)
        return self


class LineageSettings(Section):
    """Where the lineage files of the model versions are."""

    path: str = Field(description="Folder or s3:// prefix of lineage files, one YAML file per model version.")
    training_roots: tuple[str, ...] = Field(
        default=(),
        description="Folders and s3:// prefixes in which lineage files may name training data, besides the folder of "
        "driftlake.yaml and the one that contains `path`.",
    )


class PseudonymKey(Section):
    """A secret key and the days on which it is valid."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="Name of the key, stored beside every pseudonym: letters, digits, _, . and -."
    )
    env: str | None = Field(default=None, description="Environment variable that holds the key.")
    file: str | None = Field(
        default=None, description="File that holds the key, which nobody else may read (mode 0600)."
    )
    valid_from: date = Field(description="First partition day.")
    valid_until: date | None = Field(
        default=None,
        description="Last partition day; let it overlap with the next key so that users can be linked across the "
        "change.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> PseudonymKey:
        if (self.env is None) == (self.file is None):
            raise ValueError(f"key {self.id}: give either env or file")
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError(f"key {self.id}: valid_until must not be before valid_from")
        return self


class PseudonymSettings(Section):
    """How `driftlake pseudonymize` replaces identifiers of users."""

    column: str = Field(description="Column of the raw identifier, which user_key and user_key_id replace.")
    keys: Annotated[tuple[PseudonymKey, ...], Field(min_length=1)] = Field(
        description="Keys, at most two of them valid on any day. The secrets themselves are not given here."
    )

    @model_validator(mode="after")
    def _consistent(self) -> PseudonymSettings:
        ids = [key.id for key in self.keys]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"key id used twice: {', '.join(twice)}")
        starts = [key.valid_from for key in self.keys]
        if len(set(starts)) < len(starts):
            raise ValueError("two keys begin on the same day, so neither is the newer one")
        if any(len(self.valid_on(day)) > 2 for day in starts):
            raise ValueError("more than two keys are valid on the same day")
        return self

    def valid_on(self, day: date) -> list[PseudonymKey]:
        """Keys valid on a day, the newest first."""
        valid = [k for k in self.keys if k.valid_from <= day and (k.valid_until is None or day <= k.valid_until)]
        return sorted(valid, key=lambda k: k.valid_from, reverse=True)
