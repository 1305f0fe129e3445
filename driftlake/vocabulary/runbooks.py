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
        "The values of a feature have been distributed differently from training for three days, by more than chance.",
        (
            "Read the probable cause of the incident: many features at once are an upstream change, one alone rarely is.",
            "Compare the charts of the worst features: a jump is a fault or a release, a slope is the world or the season.",
            "If a segment explains it, ask who feeds that segment.",
            (
                "Look at scores and AUC: drift that changes neither can wait. If it is there to stay, retrain, and register the "
                "new version with its training data."
            ),
        ),
    ),
    Runbook(
        "missing-values",
        "Missing values",
        "Far more of a feature is missing than in training.",
        (
            "Look for the first day and hour without it, and for a lost or renamed column on that day.",
            "Ask the producer of the feature; the model replaces what is missing as it did in training, if at all.",
            "When it is repaired, deliver the days again: `driftlake run --date D` counts them anew.",
        ),
    ),
    Runbook(
        "score-drift",
        "Score drift",
        "The scores have been distributed differently from training for three days: decisions at a fixed cut change in number.",
        (
            "Look at the drifted features of the same incident, the most important first.",
            "If no feature drifted, suspect the model itself: another artefact, another threshold, another preprocessing.",
            "Tell whoever lives with the decisions how the share above the cut has changed.",
        ),
    ),
    Runbook(
        "auc-drop",
        "AUC below its baseline",
        "Of the labels known so far, the model ranks worse than promised, by more than its interval.",
        (
            "Check that labels are complete: early labels are often the bad ones. The backlog says how many are missing.",
            "Look at AUC by segment, and at estimated AUC, which needs no labels.",
            "If features drifted before it, repair these first; if none did, the relation to the target has changed: retrain.",
        ),
    ),
    Runbook(
        "labels-overdue",
        "Labels overdue",
        "More predictions wait for their label than the lineage promises: quality of the last weeks is not known.",
        (
            "Look at the days on which labels arrived: a day without any is a feed that stopped.",
            "Labels that came and matched no prediction have another correlation id: compare a few by hand.",
            "If labels simply take longer now, correct `label_delay` in the lineage of the next version.",
        ),
    ),
    Runbook(
        "broken-contract",
        "Broken contract",
        "Inputs break a promise without which a number would be wrong; what breaks it is left out and in quarantine.",
        (
            "Read the sentence: it names the file, the column and how many rows.",
            '`driftlake sql "from quarantine order by dt desc"` says what is left out.',
            "Have the file written again and run the day again; to change what is promised, see `contracts.severities`.",
        ),
    ),
    Runbook(
        "doubtful-input",
        "Doubtful input",
        "Rows were left out, counted once or look wrong: an unknown version, a missing day, duplicates, an unusual number.",
        (
            "An unknown version: register its lineage with `driftlake lineage add FILE`, then run the day again.",
            "A missing or thin day: ask the producer; late files are found by the next run.",
            "Duplicates: the same prediction was logged twice; the first is counted.",
        ),
    ),
    Runbook(
        "lost-columns",
        "Lost columns",
        "Columns of telemetry that were there before are gone.",
        (
            "Look for a new column with a similar name: a renamed one is mapped with `telemetry.columns`.",
            "If a feature is lost on purpose, register a version without it.",
        ),
    ),
    Runbook(
        "error-budget",
        "Error budget nearly spent",
        "Three quarters of what an objective allows to fail in its period have failed.",
        (
            "Look at the burn rates in `slo_status`: if one and three days burn at less than 1 it is over, and days leave the period.",
            "Latency: `latency_changes` names the stage that moved, `service_part_levels` the hours and nodes.",
            "Availability: `service_errors` has the kinds of errors, day by day.",
            "If the budget is spent, put repair before release until it is back; if nobody minds, the objective is too strict.",
        ),
    ),
)


def link_of(rule: str) -> str:
    """Link of the runbook of a default rule."""
    return next(runbook.link for runbook in RUNBOOKS if runbook.name == rule)
