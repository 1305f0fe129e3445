"""Names of the report pages and of places on them: pages link to each other, and notices to pages.

Not here: writing pages (`driftlake.report.page_files`).
"""

from __future__ import annotations

import hashlib
import re
from datetime import date

# Model ids that are a file name as they are, also where case is ignored. They have no dot, so none is another's hashed name.
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")


def day_page_name(day: date) -> str:
    """The page of a day, relative to the folder of the reports."""
    return f"{day}.html"


def model_page_name(day: date, model_id: str) -> str:
    """The page of a model on a day that has several, relative to the folder of the reports."""
    return f"{day}/{_file_name(model_id)}.html"


def model_anchor(model_id: str) -> str:
    """The place of a model on the page of a day."""
    return f"model-{_file_name(model_id)}"


def _file_name(model_id: str) -> str:
    """A file name that no other model id has: the id itself if it is plain, else readable letters of it and a hash."""
    if _PLAIN.fullmatch(model_id):
        return model_id
    readable = re.sub(r"[^a-z0-9]+", "-", model_id.lower())[:40].strip("-")
    digest = hashlib.sha256(model_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{readable or 'model'}.{digest}"
