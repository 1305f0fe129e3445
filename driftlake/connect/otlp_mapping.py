"""The mapping of spans, attributes and events to columns: a YAML file, because no convention covers models that are not generative.

Not here: reading OTLP (`otlp_lines`), and proposing a mapping (`otlp_proposal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from driftlake.config.base import Section
from driftlake.connect.mapping_files import REQUIRED, require_distinct
from driftlake.connect.otlp_lines import ERROR_TYPE, Event

# The event of the semantic conventions for evaluations.
EVALUATION = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_VALUE = "gen_ai.evaluation.score.value"
# The attribute of the semantic conventions for the kind of an error.
_ERROR_KIND = {"error_kind": ERROR_TYPE}
ROOT = "root"
# Columns that come from the spans themselves.
_OWN_COLUMNS = frozenset({"event_time", "latency_ms", "trace_id", "span_id"})
# A log record may also say how long its prediction took.
_OWN_COLUMNS_OF_EVENTS = _OWN_COLUMNS - {"latency_ms"}


class Prediction(Section):
    """Which spans, or which log records and events of spans, are predictions."""

    span: str | None = Field(
        default=None,
        description="Name of the span, e.g. inference. A trace becomes one row, that of its first span with this name.",
    )
    event: str | None = Field(
        default=None,
        description="Name of the log record or of the event of a span, if predictions are not spans; null is any, chosen by `where`.",
    )
    where: dict[str, str] = Field(default={}, description="Attributes of the event and the values that they must have.")
    service: str | None = Field(default=None, description="service.name of its resource; null is any.")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.span is not None and (self.event is not None or self.where):
            raise ValueError("a prediction is a span or an event; where belongs to event")
        if self.span is None and self.event is None and not self.where:
            raise ValueError("span, event or where must say what a prediction is")
        return self

    @property
    def is_event(self) -> bool:
        """Whether predictions are log records or events of spans."""
        return self.span is None

    @property
    def name(self) -> str | None:
        """The name of the span or event; None means any."""
        return self.event if self.is_event else self.span

    @property
    def kind(self) -> str:
        """Name of a prediction in messages."""
        if not self.is_event:
            return f"span {self.span}"
        return "event" if self.event is None else f"event {self.event}"

    def is_prediction(self, event: Event) -> bool:
        """Whether an event is a prediction."""
        if not self.is_event or self.service not in {None, event.service}:
            return False
        return _is_chosen(event, self.event, self.where)


class LabelEvents(Section):
    """Which log records and events of spans are labels."""

    event: str | None = Field(default=EVALUATION, description="Name of the event; null is any, chosen by `where`.")
    where: dict[str, str] = Field(default={}, description="Attributes and the values that they must have.")
    value: str = Field(default=EVALUATION_VALUE, description="Attribute with the label.")
    correlation_id: str | None = Field(
        default=None, description="Attribute with the correlation id of the prediction; null is the trace id."
    )

    @model_validator(mode="after")
    def _some_condition(self) -> Self:
        if self.event is None and not self.where:
            raise ValueError("event or where must say which log records are labels; both are empty")
        return self

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that are kept of an event."""
        return tuple(dict.fromkeys(name for name in (self.value, self.correlation_id) if name))

    def is_label(self, event: Event) -> bool:
        """Whether an event is a label."""
        return _is_chosen(event, self.event, self.where)


class OtlpMapping(Section):
    """Which spans or events become telemetry, and which events become labels."""

    prediction: Prediction
    latency: str = Field(
        default=ROOT, description="Name of the span whose duration is latency_ms; root is the span without a parent."
    )
    columns: dict[str, str] = Field(
        description="Columns of telemetry (model_id and model_version, also score, deployment, segments, features) and "
        "the attributes they are read from: those of the prediction or its resource, otherwise of another span of the trace."
    )
    stages: dict[str, str] = Field(
        default={}, description="Columns of telemetry.latencies and the names of the spans whose durations they are."
    )
    labels: LabelEvents | None = Field(default=None, description="Which events are labels; null is none.")

    @field_validator("columns")
    @classmethod
    def _has_the_required(cls, columns: dict[str, str]) -> dict[str, str]:
        if missing := [name for name in REQUIRED if name not in columns]:
            raise ValueError(f"{' and '.join(missing)} must be mapped")
        return columns

    @model_validator(mode="after")
    def _names_are_apart(self) -> Self:
        names = [*self.columns, *self.stages]
        own = _OWN_COLUMNS_OF_EVENTS if self.prediction.is_event else _OWN_COLUMNS
        if taken := [name for name in names if name.lower() in own]:
            raise ValueError(f"{taken[0]} is read from the spans and cannot be mapped")
        require_distinct(names)
        kept = [self.attributes, self.labels.attributes if self.labels else ()]
        if alike := [each for names in kept for each in names if sum(each.lower() == o.lower() for o in names) > 1]:
            raise ValueError(f"the attributes {' and '.join(alike)} differ only by case, which SQL cannot tell apart")
        if self.labels and "correlation_id" in self.columns and self.labels.correlation_id is None:
            raise ValueError("labels.correlation_id is needed, because columns.correlation_id is not the trace id")
        return self

    def labels_of(self, event: Event) -> LabelEvents | None:
        """The section labels if an event is a label, otherwise None."""
        return self.labels if self.labels and self.labels.is_label(event) else None

    @property
    def correlation_attribute(self) -> str | None:
        """The attribute with the correlation id of a prediction; None is the trace id."""
        return self.columns.get("correlation_id")

    @property
    def all_columns(self) -> dict[str, str]:
        """The mapped columns, and the kind of an error, which is in the attribute that the conventions define."""
        return _ERROR_KIND | self.columns

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that are kept of a span; no other attribute leaves the file."""
        return tuple(dict.fromkeys(self.all_columns.values()))


def _is_chosen(event: Event, name: str | None, where: Mapping[str, str]) -> bool:
    return name in {None, event.name} and all(
        _as_text(event.attributes.get(attribute)) == value for attribute, value in where.items()
    )


def _as_text(value: str | float | None) -> str | None:
    """A value as `where` writes it: 3.0 is 3."""
    return f"{value:.17g}" if isinstance(value, float) else value
