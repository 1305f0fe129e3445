"""Exceptions in parts of a run: their sentence, their traceback, and whether all other parts would fail, too.

Not here: catching them (`driftlake.nightly.isolation`, `driftlake.training.registration`).
"""

from __future__ import annotations

import traceback

import duckdb

from driftlake.errors import ConfigurationError, DriftlakeError, EngineError, StorageError, WarehouseError
from driftlake.lake.faults import fault_of

_KINDS = (ConfigurationError, EngineError, StorageError, WarehouseError, duckdb.HTTPException)


def is_of_machine(error: Exception) -> bool:
    """Whether the cause is the machine, such as a full disk, so that all following work would fail as well."""
    fault = fault_of(error)
    return fault is not None and fault.is_of_machine


def is_of_every_day(error: Exception) -> bool:
    """Whether every day and model would fail: the cause is the warehouse, the storage, the machine or the configuration."""
    return isinstance(error, _KINDS) or is_of_machine(error)


def sentence_of(error: Exception) -> str:
    """The message of an exception in one line, with its type if it is not one of ours."""
    if isinstance(error, DriftlakeError):
        return error.message.partition("\n")[0]
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def trace_of(error: BaseException) -> str:
    """The traceback, including those of its causes."""
    return "".join(traceback.format_exception(error))
