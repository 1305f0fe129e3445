"""The errors that users see. Each message says what was tried, what was found and what to do.

Not here: catching and printing them. `cli` prints them, and the Dagster shell maps them to Dagster's own errors.
"""


class DriftlakeError(Exception):
    """Base of every error whose cause is outside our code; `hint` says how to fix it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\nhint: {hint}" if hint else message)


class ConfigurationError(DriftlakeError, ValueError):
    """driftlake.yaml or a lineage file contains something that cannot be used."""


class InstallationError(DriftlakeError, RuntimeError):
    """Files of driftlake itself, or a package that it needs, are missing from the installation."""


class InputError(DriftlakeError, ValueError):
    """A telemetry, label or training file cannot be read or lacks a mapped column."""


class LineageConflictError(DriftlakeError, ValueError):
    """The content of a registered training run or dataset has changed."""


class WarehouseError(DriftlakeError, RuntimeError):
    """The DuckLake catalog cannot be reached or refuses the operation."""


class StorageError(DriftlakeError, RuntimeError):
    """A place on S3 cannot be reached or denies access."""


class ContractError(DriftlakeError, RuntimeError):
    """An expectation could not be evaluated, so nothing is known about the data. This does not count as a pass."""


class EngineError(DriftlakeError, OSError):
    """Spark is missing or gave up. It is an OSError because an unreadable file may be the cause."""
