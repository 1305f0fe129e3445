"""How many examples the properties try whose every example costs seconds: whole projects, or a dozen queries each.

A run of the whole suite tries few. Whoever changes how days, files or labels are worked on tries many more of the file
in question, e.g. `DRIFTLAKE_EXAMPLES=20 .venv/bin/python -m pytest tests/nightly/test_backfills.py`.
"""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """`count` for the suite, times DRIFTLAKE_EXAMPLES."""
    return count * int(os.environ.get("DRIFTLAKE_EXAMPLES", "1"))
