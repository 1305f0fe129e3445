"""What each default rule means and what to do first: the pages that alerts point to, offline and in the docs.

Not here: the rules themselves (`driftlake.config`), and how the page is drawn (`driftlake.report.pages`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PAGE = "runbooks.html"


@dataclass(frozen=True, slots=True)
class Runbook:
    """Of the rule `name`: what its alert means, and the first steps in order."""

    name: str
    title: str
    meaning: str
    steps: Sequence[str]

    @property
    def link(self) -> str:
        """Where it is among the pages."""
        return f"{PAGE}#{self.name}"


RUNBOOKS = (
    Runbook(
        "feature-drift",
        "Feature drift",
        "The values of a feature have been distributed differently from training for three days, more than chance "
        "explains.",
        (
            (
                "Read the probable cause of the incident: many features at once suggest an upstream change, a single "
                "feature rarely does."
            ),
            (
                "Compare the charts of the worst features: a sudden change suggests a fault or a release, a gradual one a "
                "season or a change in the world."
            ),
            "If one segment explains the shift, ask the producer of its data.",
            (
                "Look at scores and AUC: drift that changes neither can wait. If the drift will stay, retrain, and "
                "register the "
                "new version with its training data."
            ),
        ),
    ),
    Runbook(
        "feature-break",
        "Broken feature",
        "A feature broke from one day to the next: it is missing, has unseen categories, has one value alone, is in another unit, or moved in "
        "one segment alone, as on none of the 28 days before. It pages if what broke together has at least 5 % of the importance.",
        (
            "Look for the first day and hour of it, and for a lost or renamed column on that day.",
            "Ask the producer of the feature. Until it is repaired, the model predicts from broken values.",
            "After the repair, deliver the days again: `driftlake run --date D` counts them again.",
            "If the change is meant, register a version that was trained with it; the alert ends when the values are as before, or half as far off.",
        ),
    ),
    Runbook(
        "lost-volume",
        "Lost predictions",
        "At least 40 % of the predictions of such weekdays did not come.",
        (
            "Ask whether the service, its callers or only the delivery of telemetry have stopped.",
            "If the day is a holiday, add it to `calendar.holidays`. If the model was retired, the alert ends within four weeks.",
            "When the missing rows are delivered, run the day again.",
        ),
    ),
    Runbook(
        "score-drift",
        "Score drift",
        "The scores have been distributed differently from training for three days: with a fixed cut, the number of "
        "positive decisions changes.",
        (
            "Look at the drifted features of the same incident, the most important first.",
            "If no feature drifted, check the model itself for another artefact or another preprocessing.",
            "Tell those who use the decisions how the share above the cut has changed.",
        ),
    ),
    Runbook(
        "performance-loss",
        "Performance worse than its tolerance",
        "Night by night, days have added up to evidence that the model is worse than its baseline by more than its "
        "tolerance. At 1 the evidence is as strong as the budget of false pages asks for.",
        (
            (
                "Check that labels are complete: labels that arrive early are often of one class. The backlog says how "
                "many are missing."
            ),
            "Look at AUC by segment, and at estimated AUC, which needs no labels.",
            (
                "If features drifted before, repair these first. If none did, the relation between features and target "
                "has changed: retrain."
            ),
        ),
    ),
    Runbook(
        "labels-overdue",
        "Labels overdue",
        "More predictions are without a label than the label delay of the lineage allows, so the quality of the last "
        "weeks is not known.",
        (
            "Look at the days on which labels arrived: a day without any means that the feed has stopped.",
            "Labels that matched no prediction have other correlation ids: compare a few by hand.",
            "If labels simply take longer now, correct `label_delay` in the lineage of the next version.",
        ),
    ),
    Runbook(
        "broken-contract",
        "Broken contract",
        "Inputs break a rule of severity error. The rows or files that break it are in quarantine and not counted.",
        (
            "Read the message: it names the file, the column and the number of rows.",
            '`driftlake sql "from quarantine order by dt desc"` shows what is left out.',
            (
                "Have the file written again and run the day again. To change the severity of the rule, see "
                "`contracts.severities`."
            ),
        ),
    ),
    Runbook(
        "doubtful-input",
        "Doubtful input",
        "Rows were left out, counted only once, or look wrong: an unknown version, a missing day, duplicates, an "
        "unusual number of rows.",
        (
            "An unknown version: register its lineage with `driftlake lineage add FILE`, then run the day again.",
            "A day that is missing or has few rows: ask the producer. The next run finds late files.",
            "Duplicates: the same prediction was logged twice, and only the first is counted.",
        ),
    ),
    Runbook(
        "lost-columns",
        "Lost columns",
        "Columns that telemetry had before are missing.",
        (
            "Look for a new column with a similar name: map a renamed column with `telemetry.columns`.",
            "If a feature was removed on purpose, register a version without it.",
        ),
    ),
    Runbook(
        "error-budget",
        "Error budget nearly spent",
        "Three quarters of the error budget of an objective are used up.",
        (
            (
                "Look at the burn rates in `slo_status`: if the rates over one and three days are below 1, the problem is "
                "over, and the budget recovers as days leave the period."
            ),
            "Latency: `latency_changes` names the stage that changed, `service_part_levels` has the hours and nodes.",
            "Availability: `service_errors` has the kinds of errors, day by day.",
            (
                "If the budget is used up, repair before you release until it has recovered. If nobody is affected, the "
                "objective is too strict."
            ),
        ),
    ),
)


def link_of(rule: str) -> str:
    """Link of the runbook of a default rule."""
    return next(runbook.link for runbook in RUNBOOKS if runbook.name == rule)
