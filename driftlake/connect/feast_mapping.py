"""The mapping of logs of a Feast feature service to columns of telemetry, a YAML file.

Not here: the rows (`feast_rows`), and proposing a mapping (`feast_proposal`).
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from driftlake.config.base import Section
from driftlake.connect.mapping_files import REQUIRED, require_distinct
from driftlake.inputs.importable_files import REQUEST_ID

STATUS, TIMESTAMP = "__status", "__timestamp"
# The column with the worst status of the features of a row.
FEATURE_STATUS = "feature_status"
# Columns that the import itself writes.
_OWN_COLUMNS = ("user_key", "user_key_id", "previous_user_key", "previous_user_key_id", FEATURE_STATUS)


class LoggedPredictions(Section):
    """How a prediction is joined to the features that were served for it."""

    request_id: str = Field(
        default="request_id", description="Column of the predictions with the id of the request to Feast."
    )
    keys: dict[str, str] = Field(
        default={},
        description="Join keys and the columns of the predictions with their values; needed if a request asks for several entities.",
    )
    event_time: str = Field(default="event_time", description="Column of the predictions with their time.")
    correlation_id: str = Field(default="correlation_id", description="Column of the predictions with their id.")


class FeastMapping(Section):
    """Maps columns of the logs to columns of telemetry."""

    features: Annotated[dict[str, str], Field(min_length=1)] = Field(
        description="Columns of telemetry and the features that they are read from: VIEW__FEATURE, as the logs have them."
    )
    columns: dict[str, str] = Field(
        default={}, description="Columns of telemetry and other columns of the logs: join keys, and data of requests."
    )
    constants: dict[str, str] = Field(
        default={}, description="Columns that have the same value in every row, e.g. model_id and model_version."
    )
    user_key: str | None = Field(
        default=None,
        description="Join key of the person, of which only the pseudonym is written; its keys are those of driftlake.yaml.",
    )
    correlation_id: str = Field(
        default=REQUEST_ID, description="Column of the logs with the id of a prediction, if there are no predictions."
    )
    predictions: LoggedPredictions | None = Field(
        default=None, description="How predictions are joined; null makes each row of the logs a prediction."
    )

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that the mapping names, in the order in which they are written."""
        return (*self.constants, *self.columns, *self.features)

    @property
    def dropped(self) -> frozenset[str]:
        """Columns of the predictions that contain the identifier of the user."""
        if self.user_key is None:
            return frozenset()
        of_predictions = self.predictions.keys.get(self.user_key) if self.predictions else None
        return frozenset(name for name in (self.user_key, of_predictions) if name)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        taken = [*_OWN_COLUMNS, *(() if self.predictions else ("correlation_id", "event_time"))]
        if own := [name for name in self.written if name.lower() in taken]:
            raise ValueError(f"{own[0]} is written by the import and cannot be mapped")
        require_distinct(self.written)
        if self.user_key and self.user_key in {*self.columns.values(), self.correlation_id}:
            raise ValueError(f"user_key: {self.user_key} would also be written as it is")
        if not self.predictions and (missing := [name for name in REQUIRED if name not in self.written]):
            raise ValueError(f"without predictions, {' and '.join(missing)} must be in constants or columns")
        return self
