"""Great Expectations' Data Docs of a day's contract checks, a page per source beside the reports.

They are made from stored rows, so they have every check of the day with counts only, and no value of any row. Not
here: our own page of a day (`driftlake.report.pages`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from driftlake.config import Settings
from driftlake.contract import gx_session
from driftlake.lake.session import create_table
from driftlake.lake.warehouse import Warehouse
from driftlake.lake.whole_files import replaced_whole
from driftlake.vocabulary.wording import printable

# Scripts, stylesheets and images; the buttons do nothing without their scripts.
_LOADED = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<button\b.*?</button>|url\(\s*[\"']?https?:[^)]*\)",
    re.DOTALL | re.IGNORECASE,
)
# A browser loads nothing even if a later release of Great Expectations writes it otherwise.
_POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
_STYLE = "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left}</style>"


def docs_page(settings: Settings, day: date, source: str) -> Path:
    """Where the page of a day and a source is, if there is one."""
    return Path(settings.resolve(settings.reports.path)) / "data_docs" / f"{day}-{source}.html"


def publish(warehouse: Warehouse, settings: Settings, day: date) -> list[Path]:
    """Write the pages of a day; needs Great Expectations, which takes seconds to import."""
    written = []
    for source, rows in groupby(warehouse.query("report/checks", day=day).to_pylist(), lambda row: str(row["source"])):
        page = docs_page(settings, day, source)
        with replaced_whole(page) as temporary:
            temporary.write_text(_html(source, day, list(rows)), encoding="utf-8")
        written.append(page)
    return written


def _html(source: str, day: date, rows: Sequence[Mapping[str, Any]]) -> str:
    named = {_name(row): row for row in rows}
    findings = [
        {
            "dt": day,
            "expectation": name,
            "checked_count": row["checked_count"],
            "unexpected_count": row["unexpected_count"],
        }
        for name, row in named.items()
    ]
    with duckdb.connect() as connection:
        create_table(connection, gx_session.FINDINGS, pa.Table.from_pylist(findings))
        rules = [(name, row["column_name"], row["severity"]) for name, row in named.items()]
        return _self_contained(gx_session.page(connection, rules, source=f"{source} {day}"))


def _self_contained(page: str) -> str:
    """The page without files from content delivery networks, whose scripts could read and change it."""
    return _LOADED.sub("", page).replace("<head>", f"<head>{_POLICY}{_STYLE}", 1)


def _name(row: Mapping[str, Any]) -> str:
    """The name of a check, escaped: it contains names from data, and Great Expectations' templates do not escape them."""
    parts = (row[part] for part in ("expectation", "column_name", "model_id", "model_version", "path"))
    return escape(printable(" ".join(part for part in parts if part)))
