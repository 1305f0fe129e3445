"""The errors a user can meet, each saying what was tried, what was found and what to do.

Not here: anything that catches or prints them; `cli` prints and the Dagster shell maps them once.
"""


class DriftlakeError(Exception):
    """Base of every error whose cause is outside our code; `hint` is the action that mends it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\nhint: {hint}" if hint else message)


class ConfigurationError(DriftlakeError, ValueError):
    """driftlake.yaml or a lineage file holds something that cannot be used."""


class InstallationError(DriftlakeError, RuntimeError):
    """Files of driftlake itself are not where it was installed."""


class InputError(DriftlakeError, ValueError):
    """A telemetry, label or training file cannot be read or lacks what was mapped."""


class LineageConflictError(DriftlakeError, ValueError):
    """A registered training run or dataset was given again with other content."""


class WarehouseError(DriftlakeError, RuntimeError):
    """The DuckLake catalog cannot be reached or refuses the operation."""


class StorageError(DriftlakeError, RuntimeError):
    """A place on S3 cannot be reached, or refuses us."""


class ContractError(DriftlakeError, RuntimeError):
    """An expectation could not be evaluated: nothing is known about the data, which is no pass."""


class EngineError(DriftlakeError, OSError):
    """Spark is not there or gave up; an OSError, because it may have been a file that could not be read."""
