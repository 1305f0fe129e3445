"""The number of examples of the slow property tests, in which an example is a whole project or a dozen queries.

The suite tries few. After a change to how days, files or labels are processed, try many more in the test file in
question, e.g. `DRIFTLAKE_EXAMPLES=20 .venv/bin/python -m pytest tests/nightly/test_backfills.py`.
"""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """`count` for the suite, times DRIFTLAKE_EXAMPLES."""
    return count * int(os.environ.get("DRIFTLAKE_EXAMPLES", "1"))
