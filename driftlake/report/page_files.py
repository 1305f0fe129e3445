"""Files of the reports: how they are written, and which are removed.

Not here: their names (`driftlake.vocabulary.page_names`), and what is on a page (`driftlake.report.pages`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape
from importlib.resources import files
from pathlib import Path

from driftlake.config import Settings
from driftlake.errors import DriftlakeError
from driftlake.lake.whole_files import replaced_whole
from driftlake.vocabulary.wording import counted

# The browser draws charts with it: Vega, Vega-Lite and Vega-Embed in one file, from `make vega`. Old pages keep their version.
VEGA = "static/vega-6.2.0.js"

_DIGEST = re.compile(r'<meta name="driftlake-content" content="([0-9a-f]+)">')
# The digest is in the first lines of a page.
_HEAD_BYTES = 2_000
_PAGE_NAME = re.compile(r"\d{4}-\d\d-\d\d\.html")
_DATA_DOCS_NAME = re.compile(r"\d{4}-\d\d-\d\d-[a-z]+\.html")
# Unfinished files that `replaced_whole` leaves if it is killed.
_UNFINISHED = re.compile(r"\.(\d{4}-\d\d-\d\d.*|index|runbooks|[a-z0-9_.-]+)\.(html|js)\.\d+")


class ReportError(DriftlakeError, LookupError):
    """There is nothing to report on, or no folder to write to."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Pages and unfinished files that were removed, or with `is_dry_run` would be."""

    page_count: int
    unfinished_count: int
    # pages drawn before this day; None if all are kept
    drawn_before: date | None


def folder(settings: Settings) -> Path:
    """The folder of the reports. Raises ReportError if it is not on this machine."""
    location = settings.resolve(settings.reports.path)
    if "://" in location:
        raise ReportError(f"reports.path {location} is not a folder", hint="give a folder; copy it to S3 afterwards")
    return Path(location)


def write(settings: Settings, name: str, html: str) -> Path:
    """Write a page; an existing one is replaced."""
    page = folder(settings) / name
    with replaced_whole(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return page


def digest_of(page: Path) -> str | None:
    """The digest of the rows that an existing page was drawn from."""
    try:
        with page.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return None
    found = _DIGEST.search(head.decode(errors="replace"))
    return found[1] if found else None


def put_vega(settings: Settings) -> None:
    """Put the library that draws the charts beside the pages, unless it is there."""
    target, library = folder(settings) / VEGA, files("driftlake.report") / VEGA
    if not target.is_file():
        with replaced_whole(target) as temporary:
            temporary.write_bytes(library.read_bytes())


def remove_other_models(settings: Settings, day: date, kept: Collection[str]) -> None:
    """Remove the pages of models that a day no longer has; `kept` are the names of the others."""
    place = folder(settings) / str(day)
    names = {Path(name).name for name in kept}
    for page in place.glob("*.html"):
        if page.name not in names:
            page.unlink(missing_ok=True)
    if not names:
        _remove_if_empty(place)


def clean(settings: Settings, *, now: datetime, is_dry_run: bool = False) -> Removed:
    """Remove the pages of days that were drawn too long ago, and unfinished files of a killed process.

    Only names that driftlake itself writes are removed.
    """
    if "://" in settings.resolve(settings.reports.path):
        # no page can have been written there
        return Removed(0, 0, None)
    today = now.astimezone(UTC).date()
    keep_days = settings.reports.keep_days
    before = today - timedelta(days=keep_days) if keep_days else None
    top = folder(settings)
    old = [*_old_pages(top, before)] if before else []
    unfinished = [*_unfinished(top, today - timedelta(days=settings.warehouse.file_grace_days))]
    if not is_dry_run:
        for path in (*old, *unfinished):
            path.unlink(missing_ok=True)
        for place in {path.parent for path in old} - {top, top / "data_docs"}:
            _remove_if_empty(place)
    return Removed(len(old), len(unfinished), before)


def pages_with(settings: Settings, texts: Collection[str]) -> list[Path]:
    """The pages that show one of the texts, also those of contracts (Data Docs)."""
    if "://" in settings.resolve(settings.reports.path):
        return []
    # in the text of a page, or in the JSON of a chart
    forms = {form.encode() for text in texts for form in (text, escape(text), json.dumps(text)[1:-1])}
    shown = re.compile(rb"(?<![0-9A-Za-z_-])(?:" + b"|".join(map(re.escape, forms)) + rb")(?![0-9A-Za-z_-])")
    return [page for page in sorted(folder(settings).rglob("*.html")) if shown.search(page.read_bytes())]


def removed_lines(removed: Removed) -> Iterator[str]:
    """The lines that are printed for people."""
    kept = "all are kept" if removed.drawn_before is None else f"drawn before {removed.drawn_before}"
    yield f"{'deleted':<24} {counted(removed.page_count, 'page')} of reports ({kept})"
    yield f"{'deleted':<24} {counted(removed.unfinished_count, 'unfinished report file')}"


def _old_pages(top: Path, before: date) -> Iterator[Path]:
    """Pages of days that were drawn before a day. The page of a day is drawn last and always, those of its models only if they change."""
    for page in top.glob("*.html"):
        if _PAGE_NAME.fullmatch(page.name) and _modified_on(page) < before:
            yield page
            yield from page.with_suffix("").glob("*.html")
    for page in (top / "data_docs").glob("*.html"):
        if _DATA_DOCS_NAME.fullmatch(page.name) and _modified_on(page) < before:
            yield page


def _unfinished(top: Path, before: date) -> Iterator[Path]:
    for pattern in (".*", "*/.*"):
        for path in top.glob(pattern):
            if _UNFINISHED.fullmatch(path.name) and path.is_file() and _modified_on(path) < before:
                yield path


def _modified_on(path: Path) -> date:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()


def _remove_if_empty(place: Path) -> None:
    # another process may write a page into it, or remove it
    with suppress(OSError):
        place.rmdir()
