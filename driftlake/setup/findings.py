"""Findings of checks. Not here: the checks (`driftlake.setup.doctor`, `driftlake.setup.input_report`)."""

from __future__ import annotations

from dataclasses import dataclass

from driftlake.errors import DriftlakeError


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a check; `hint` says what to do if it failed."""

    subject: str
    is_well: bool
    message: str
    hint: str | None = None

    @classmethod
    def of_error(cls, subject: str, error: DriftlakeError) -> Finding:
        """The finding that something could not be checked, with the reason."""
        return cls(subject, False, error.message, error.hint)
