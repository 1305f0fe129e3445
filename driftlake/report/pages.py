"""The report pages: one of each day, one of each model on it if it has several, and an overview of all days.

A page needs no network, and the same tables give the same bytes. Not here: the rows (`driftlake.report.sections`), what a
page says (`driftlake.report.model_page`, `driftlake.report.fleet_page`), files (`driftlake.report.page_files`),
how a number is written (`driftlake.vocabulary.wording`), and layout (templates/).
"""

from __future__ import annotations

import calendar
import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftlake import __version__
from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.report import fleet_page, model_page, page_files, verdicts
from driftlake.report.page_files import Removed, ReportError
from driftlake.report.sections import (
    RECENT_DAYS,
    VOLUME_DAYS,
    Scope,
    Sections,
    divided,
    model_ids,
    read_sections,
    report_rows,
)
from driftlake.report.verdicts import Verdict, grouped
from driftlake.vocabulary import wording
from driftlake.vocabulary.page_names import day_page_name, model_page_name
from driftlake.vocabulary.runbooks import PAGE, RUNBOOKS
from driftlake.vocabulary.wording import version_name

if TYPE_CHECKING:
    import jinja2

# Versions on the overview; the page of the day has all.
_SHOWN_VERDICTS = 12
# Functions with which the templates write values.
_FILTERS = (
    wording.decimal,
    wording.long_day,
    wording.measured,
    wording.milliseconds,
    wording.number,
    wording.percent,
    wording.points,
    wording.probability,
    wording.signed,
    wording.size,
    wording.statistic_name,
    wording.three_decimals,
)


def render_day(warehouse: Warehouse, settings: Settings, day: date) -> Path:
    """Write the page of `day`, and of each model if it has several; return the path of the first. Existing pages are replaced.

    The page of a model among several is left alone if it was drawn from the same rows.
    Raises ReportError if nothing was processed for the day.
    """
    scope = Scope.of(warehouse, settings, day)
    if not scope.runs:
        raise ReportError(
            f"nothing was processed for {day}",
            hint=f"run `driftlake backfill --from {day} --to {day}`, then ask for the report again",
        )
    with warehouse.one_snapshot():
        sections = read_sections(scope)
    page_files.put_vega(settings)
    if len(model_ids(sections)) > 1:
        return _write_fleet(scope, sections)
    page_files.remove_other_models(settings, day, [])
    content = model_page.content_of(scope, sections, "") | {
        "model_id": None,
        "digest": None,
        "inputs": sections["inputs"],
        "arrivals": sections["arrivals"],
        "data_docs": fleet_page.data_docs(scope),
    }
    return page_files.write(settings, day_page_name(day), _render("model.html.j2", content))


def clean(warehouse: Warehouse, settings: Settings, *, now: datetime, is_dry_run: bool = False) -> Removed:
    """Remove old pages and unfinished files (see `page_files.clean`), and the links to them from the index."""
    removed = page_files.clean(settings, now=now, is_dry_run=is_dry_run)
    if removed.page_count and not is_dry_run:
        render_index(warehouse, settings)
    return removed


def render_index(warehouse: Warehouse, settings: Settings) -> Path:
    """Write the overview of every processed day, with links to the existing pages, and return its path.

    Raises ReportError if nothing was processed yet.
    """
    drift_days, quality_days = settings.drift.headline_window_days, settings.quality.headline_window_days
    days = report_rows(warehouse, "days", drift_window_days=drift_days, quality_window_days=quality_days)
    if not days:
        raise ReportError("nothing was processed yet", hint="run `driftlake run` or `driftlake backfill` first")
    folder = page_files.folder(settings)
    judged = [
        {**row, "kind": verdicts.kind_of_day(row), "has_page": (folder / day_page_name(row["dt"])).is_file()}
        for row in days
    ]
    newest = Scope.of(warehouse, settings, days[-1]["dt"])
    found = [verdict for _, verdict in newest.judge(newest.model_facts(), newest.alerts())]
    months = grouped(judged, lambda row: row["dt"].replace(day=1))
    content = {
        "newest": newest.day,
        "newest_has_page": judged[-1]["has_page"],
        "verdicts": found[:_SHOWN_VERDICTS],
        "other_verdicts": _counted_kinds(found[_SHOWN_VERDICTS:]),
        "months": [(first, {row["dt"].day: row for row in rows}) for first, rows in reversed(months.items())],
        "day_count": len(judged),
        "page_count": sum(row["has_page"] for row in judged),
        "has_several_models": len({row["auc_model"] for row in judged if row["auc_model"]}) > 1,
        "drift_days": drift_days,
        "quality_days": quality_days,
    }
    page_files.write(settings, PAGE, _render("runbooks.html.j2", {"runbooks": RUNBOOKS}))
    return page_files.write(settings, "index.html", _render("index.html.j2", content))


def _write_fleet(scope: Scope, sections: Sections) -> Path:
    """Write the pages of the models, then the page that links them."""
    by_model = divided(sections)
    basis = _basis(scope)
    pages = {model_id: model_page_name(scope.day, model_id) for model_id in by_model}
    folder = page_files.folder(scope.settings)
    for model_id, own in by_model.items():
        digest = _digest(basis, own)
        if page_files.digest_of(folder / pages[model_id]) == digest:
            continue
        content = model_page.content_of(scope, own, "../") | {"model_id": model_id, "digest": digest}
        page_files.write(scope.settings, pages[model_id], _render("model.html.j2", content))
    page_files.remove_other_models(scope.settings, scope.day, pages.values())
    content = fleet_page.content_of(scope, sections, by_model)
    return page_files.write(scope.settings, day_page_name(scope.day), _render("fleet.html.j2", content))


def _basis(scope: Scope) -> str:
    """What every page of a day depends on besides its rows: the settings, the code that draws, and how the stages ended.

    Runs and snapshots are only on the page of the day: they change with every run.
    """
    outcomes = {stage: (run["outcome"], run["reason"]) for stage, run in scope.runs.items()}
    return repr((scope.day, scope.settings.config_hash, scope.settings.reports.model_dump(), outcomes, _drawing()))


@cache
def _drawing() -> str:
    """Digest of the code and the templates of this package."""
    digest = hashlib.sha256(__version__.encode())
    for file in _sources(files("driftlake.report")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _sources(place: Traversable) -> Iterator[Traversable]:
    for file in sorted(place.iterdir(), key=lambda file: file.name):
        if file.is_dir() and file.name == "templates":
            yield from _sources(file)
        elif file.name.endswith((".py", ".j2", ".js")):
            yield file


def _digest(basis: str, sections: Sections) -> str:
    digest = hashlib.sha256(basis.encode())
    for name, rows in sections.items():
        digest.update(repr([name, *rows[:1], [[*row.values()] for row in rows]]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _counted_kinds(found: Sequence[Verdict]) -> dict[str, int]:
    """The number of versions by how their verdicts are shown."""
    return {word: len(each) for word, each in grouped(found, lambda verdict: verdict.word).items()}


def _render(template: str, content: Mapping[str, Any]) -> str:
    return wording.printable(_environment().get_template(template).render(content))


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("driftlake.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in _FILTERS}
    environment.globals |= {
        "verdict_words": verdicts.VERDICT_WORDS,
        "counted": wording.counted,
        "change": wording.change,
        "version_name": version_name,
        "days_in_month": lambda first: calendar.monthrange(first.year, first.month)[1],
        "heatmap_features": model_page.HEATMAP_FEATURES,
        "recent_days": RECENT_DAYS,
        "volume_days": VOLUME_DAYS,
        "script": _script,
        "script_hash": _script_hash,
    }
    return environment


@cache
def _script(name: str) -> str:
    return (files("driftlake.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def _script_hash(name: str) -> str:
    """The only scripts that a page runs are ours: its policy names them by their hashes."""
    return f"'sha256-{b64encode(hashlib.sha256(_script(name).encode()).digest()).decode()}'"
