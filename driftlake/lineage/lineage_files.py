"""Lineage files: what a model version was trained on and what its team declares about it.

Not here: registering a version (`driftlake.training.registration`) and what is learned from its training data (`driftlake.training.learning`).
"""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import pyarrow.fs as pafs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from driftlake.config import Settings
from driftlake.config.inputs import LabelValue, require_two_labels
from driftlake.config.strict_yaml import parse_yaml
from driftlake.errors import ConfigurationError
from driftlake.lake.storage import filesystem_of, is_hidden
from driftlake.maths.value_text import category_text


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return names


def _distinct_classes(names: tuple[str, ...]) -> tuple[str, ...]:
    _distinct(tuple(category_text(name) for name in names))
    return names


def _class_text(name: object) -> object:
    return str(name) if isinstance(name, int) and not isinstance(name, bool) else name


def _class_name(name: str) -> str:
    if name == "(missing)":
        raise ValueError("(missing) stands for predictions without a class")
    if re.fullmatch(r"-?\d+\.0+", name):
        raise ValueError(
            "labels that are whole numbers are read without decimals: write the class without decimals, too"
        )
    return name


ClassName = Annotated[str, BeforeValidator(_class_text), AfterValidator(_class_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class LabelDelay(_Section):
    """How long labels take, in days after the prediction."""

    p50_days: float = Field(ge=0)
    p95_days: float = Field(ge=0)
    max_days: float = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> LabelDelay:
        if not self.p50_days <= self.p95_days <= self.max_days:
            raise ValueError("p50_days, p95_days and max_days must not decrease")
        return self


class Baseline(_Section):
    """The quality of the version on held-out data."""

    auc: float | None = Field(default=None, ge=0, le=1)
    accuracy: float | None = Field(default=None, ge=0, le=1)
    # of several classes: the mean of theirs
    f1_score: float | None = Field(default=None, ge=0, le=1)


class BinaryLabels(_Section):
    """Which of two labels is positive, and optionally which is negative."""

    positive: LabelValue
    negative: LabelValue | None = None

    @model_validator(mode="after")
    def _two_labels(self) -> BinaryLabels:
        require_two_labels(self.positive, self.negative)
        return self


# A percentage is a probability times a hundred.
ScoreKind = Literal["probability", "percent", "value"]


def score_divisor(kind: str) -> int:
    """What scores of a kind are divided by when they are read."""
    return 100 if kind == "percent" else 1


class LineageRecord(_Section):
    """One lineage file: what a model version was trained on and what its team declares about it."""

    model_id: str
    model_version: str
    training_run_id: str
    training_dataset_id: str
    training_data: str
    target: str | None = None
    score: str | None = None
    score_kind: ScoreKind = "probability"
    # binary labels are 0 or 1 unless `labels` says which is positive, those of a regression are numbers like its score, those of a multiclass model its classes
    task: Literal["binary", "regression", "multiclass"] = "binary"
    # of a multiclass model, as labels and predicted_class name them; its score is the confidence of the predicted class
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2), AfterValidator(_distinct_classes)] | None = None
    # of a binary model whose labels are others than 0 and 1
    labels: BinaryLabels | None = None
    # of the target that a regression predicts; null if it predicts the mean
    quantile: float | None = Field(default=None, gt=0, lt=1)
    features: Annotated[tuple[str, ...], AfterValidator(_distinct)] | None = None
    label_delay: LabelDelay | None = None
    released_at: datetime | None = None
    baseline: Baseline = Baseline()
    feature_importance: dict[str, float] | None = None

    @property
    def is_probability(self) -> bool:
        """Whether the score is a probability after it has been read."""
        return self.score_kind != "value"

    @model_validator(mode="after")
    def _consistent(self) -> LineageRecord:
        if self.task == "regression" and self.score_kind != "value":
            raise ValueError("a regression predicts values: add `score_kind: value`")
        if self.quantile is not None and self.task != "regression":
            raise ValueError("only a regression has a quantile: add `task: regression`")
        if self.task == "multiclass" and self.classes is None:
            raise ValueError("a multiclass model needs its classes: add e.g. `classes: [red, green, blue]`")
        if self.labels is not None and self.task != "binary":
            raise ValueError("only a binary model has a positive label: leave `labels` out")
        if self.classes is not None and self.task != "multiclass":
            raise ValueError("only a multiclass model has classes: add `task: multiclass`")
        return self


@dataclass(frozen=True, slots=True)
class LineageFile:
    """A record with the absolute location of its training data."""

    path: str
    record: LineageRecord
    training_data: str
    # remarks on values that were read as text although YAML has another type for them
    remarks: tuple[str, ...] = ()


def read_lineage_file(settings: Settings, location: str) -> LineageFile:
    """Read and validate a lineage file, local or s3://. Raises ConfigurationError, also for training data outside of the configured places."""
    filesystem, path = filesystem_of(location)
    try:
        with filesystem.open_input_stream(path) as stream:
            text = stream.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"lineage file {location} cannot be read: {error}", hint="save it as UTF-8 text"
        ) from error
    remarks: list[str] = []
    record = parse_yaml(LineageRecord, location, text, remarks)
    training_data = _beside(location, record.training_data)
    if not any(_is_inside(training_data, root) for root in settings.training_roots):
        raise ConfigurationError(
            f"lineage file {location}: training_data {record.training_data} is in none of the places where training data"
            f" may be: {', '.join(dict.fromkeys(settings.training_roots))}",
            hint="add its folder to lineage.training_roots in driftlake.yaml, or copy it to one of these places",
        )
    return LineageFile(location, record, training_data, tuple(remarks))


def lineage_locations(settings: Settings) -> list[str]:
    """Every *.yaml of the configured lineage folder, by name."""
    folder = settings.resolve(settings.lineage.path)
    filesystem, root = filesystem_of(folder)
    entries = filesystem.get_file_info(pafs.FileSelector(root, allow_not_found=True))
    return [f"{folder}/{entry.base_name}" for entry in sorted(entries, key=lambda e: e.base_name) if _is_yaml(entry)]


def read_lineage_folder(settings: Settings) -> list[LineageFile]:
    """Every lineage file of the configured folder. Raises ConfigurationError for the first invalid file."""
    return [read_lineage_file(settings, location) for location in lineage_locations(settings)]


def _is_yaml(entry: pafs.FileInfo) -> bool:
    return bool(entry.is_file and entry.extension in {"yaml", "yml"} and not is_hidden(entry.base_name))


def _beside(location: str, path: str) -> str:
    """`path` resolved against the folder of the file at `location`."""
    if "://" in path or path.startswith("/"):
        return path
    scheme, separator, inner = location.rpartition("://")
    return scheme + separator + posixpath.normpath(posixpath.join(posixpath.dirname(inner), path))


def _is_inside(place: str, root: str) -> bool:
    """Whether a place is a root or below it, wherever links and `..` lead."""
    place, root = _canonical(place), _canonical(root)
    return place == root or place.startswith(f"{root.rstrip('/')}/")


def _canonical(place: str) -> str:
    scheme, separator, inner = place.rpartition("://")
    return f"{scheme}://{posixpath.normpath(inner)}" if separator else os.path.realpath(place)
