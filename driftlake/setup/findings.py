"""What is said of a thing that was looked at. Not here: looking (`driftlake.setup.doctor`, `driftlake.setup.input_report`)."""

from __future__ import annotations

from dataclasses import dataclass

from driftlake.errors import DriftlakeError


@dataclass(frozen=True, slots=True)
class Finding:
    """Something looked at: `hint` is what to do if it is not well."""

    subject: str
    is_well: bool
    message: str
    hint: str | None = None

    @classmethod
    def of_error(cls, subject: str, error: DriftlakeError) -> Finding:
        """That it could not be looked at, and why."""
        return cls(subject, False, error.message, error.hint)
