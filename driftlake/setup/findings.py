"""One finding per thing that doctor has looked at.

Not here: looking (doctor.py, meaning.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something looked at: `hint` is what to do if it is not well."""

    subject: str
    is_well: bool
    message: str
    hint: str | None = None
