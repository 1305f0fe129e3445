"""Contents of the page of a day with several models: a row for each model version, and everything that is not about a single model.

Not here: the page of a model (`driftlake.report.model_page`), layout and sorting (templates/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from driftlake.config import TIER_WEIGHTS, Tier
from driftlake.report.data_docs import docs_page
from driftlake.report.model_page import alert_groups, written_incidents
from driftlake.report.sections import PERFORMANCE_DAYS, Scope, Sections, of_no_model, version_key
from driftlake.report.sparklines import sparkline
from driftlake.report.verdicts import Row, Verdict, grouped
from driftlake.vocabulary import wording
from driftlake.vocabulary.page_names import model_anchor, model_page_name
from driftlake.vocabulary.wording import SHARES

# Versions that were not judged are listed just before those that are well.
_PLACE_OF_NOT_JUDGED = 4.5
# Alerts of an incident of many models; the others are on the pages of the models.
_SHOWN_ALERTS = 20


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A model version on a day. A text is empty if its content is not known."""

    facts: Row
    verdict: Verdict
    # relative to the folder of the reports
    page: str
    anchor: str
    owner: str
    tier: Tier
    since: date | None
    value: float | None
    value_text: str
    interval_text: str
    spark: str
    objectives: Sequence[Row]
    incidents: Sequence[Row]

    @property
    def severity(self) -> float:
        """Place among the verdicts: the lowest is the worst."""
        place: int = self.facts["verdict_place"]
        return _PLACE_OF_NOT_JUDGED if self.verdict.kind == "unjudged" else place

    @property
    def order(self) -> tuple[Any, ...]:
        """What rows are sorted by if nobody asks: the worst verdict, the highest tier, the most incidents that page, the longest since."""
        paging = sum(bool(row["pages"]) for row in self.incidents)
        return self.severity, -self.tier_weight, -paging, self.since or date.max, *version_key(self.facts)

    @property
    def tier_weight(self) -> float:
        """Weight of the model's tier; larger is higher."""
        return TIER_WEIGHTS[self.tier]

    @property
    def worst_objective(self) -> Row | None:
        """The objective with the least remaining error budget."""
        return next((row for row in self.objectives if row["state"] != "no_data"), None)


def content_of(scope: Scope, sections: Sections, by_model: Mapping[str, Sections]) -> dict[str, Any]:
    """What the template of the page names."""
    rows = sorted(
        (row for model_id, own in by_model.items() for row in _rows_of_model(scope, model_id, own)),
        key=lambda row: row.order,
    )
    alerts = sections["alerts"]
    shared = written_incidents(scope, of_no_model(sections, "incidents"), alerts, "")
    judged = {version_key(row.facts) for row in rows}
    return {
        "day": scope.day,
        "settings": scope.settings,
        "root": "",
        "runs": scope.runs,
        "rows": rows,
        "has_tiers": any(row.tier != "normal" for row in rows),
        "tiers": [tier for tier in TIER_WEIGHTS if any(row.tier == tier for row in rows)],
        "owners": sorted({row.owner for row in rows if row.owner}),
        # in the order of the rows
        "verdict_counts": {word: len(found) for word, found in grouped(rows, lambda row: row.verdict.word).items()},
        "performance_days": PERFORMANCE_DAYS,
        "model_count": len(by_model),
        "prediction_count": sum(row["prediction_count"] for row in sections["models"]),
        "alerts": alerts,
        "incident_count": len(sections["incidents"]),
        "incidents": [
            {**row, "alerts": row["alerts"][:_SHOWN_ALERTS], "alert_count": len(row["alerts"])} for row in shared
        ],
        "alert_groups": alert_groups(
            scope, [row for row in of_no_model(sections, "alerts") if not row["incident_id"]], "", judged
        ),
        "retired": [
            {"model_id": model_id, "page": model_page_name(scope.day, model_id), "anchor": model_anchor(model_id)}
            for model_id in sorted(by_model.keys() - {row.facts["model_id"] for row in rows})
        ],
        "inputs": sections["inputs"],
        "failed_checks": of_no_model(sections, "failed_checks"),
        "other_check_count": sum(row["model_id"] is not None for row in sections["failed_checks"]),
        "schema_changes": of_no_model(sections, "schema_changes"),
        "arrivals": sections["arrivals"],
        "data_docs": data_docs(scope),
    }


def data_docs(scope: Scope) -> list[tuple[str, str]]:
    """The sources that have Data Docs for the day, with the pages."""
    return [
        (source, f"data_docs/{page.name}")
        for source in ("telemetry", "labels")
        if (page := docs_page(scope.settings, scope.day, source)).is_file()
    ]


def _rows_of_model(scope: Scope, model_id: str, sections: Sections) -> list[FleetRow]:
    performance = grouped(sections["performance"], version_key)
    return [
        _row(scope, model_id, facts, verdict, sections, performance.get(version_key(facts), []))
        for facts, verdict in scope.judge(sections["models"], sections["alerts"])
    ]


def _row(
    scope: Scope, model_id: str, facts: Row, verdict: Verdict, sections: Sections, performance: Sequence[Row]
) -> FleetRow:
    newest = performance[-1] if performance and performance[-1]["dt"] == scope.day else None
    own = [
        row
        for row in sections["incidents"]
        if not row["model_versions"] or facts["model_version"] in row["model_versions"]
    ]
    return FleetRow(
        facts=facts,
        verdict=verdict,
        page=model_page_name(scope.day, model_id),
        anchor=model_anchor(model_id),
        owner=_owner(scope, model_id, own, sections["alerts"]),
        tier=scope.settings.tier_of(model_id),
        since=facts["since_on"] if verdict.kind != "unjudged" else None,
        value=newest["value"] if newest else None,
        value_text=_written(newest, "value") if newest else "",
        interval_text=(
            f"{_written(newest, 'confidence_low')} to {_written(newest, 'confidence_high')}"
            if newest and newest["confidence_low"] is not None
            else ""
        ),
        spark=sparkline(performance, **scope.span(PERFORMANCE_DAYS)) if performance else "",
        objectives=sections["slos"],
        incidents=own,
    )


def _written(row: Row, column: str) -> str:
    write = wording.three_decimals if row["statistic"] in SHARES else wording.measured
    return write(row[column])


def _owner(scope: Scope, model_id: str, incidents: Sequence[Row], alerts: Sequence[Row]) -> str:
    model = scope.settings.models.get(model_id)
    if model and model.owner:
        return model.owner
    return next((row["owner"] for row in (*incidents, *alerts) if row["owner"] and row["model_id"] == model_id), "")
