"""What the alert of each default rule means and what to do first. Alerts link to these texts, in the reports and in the docs.

Not here: the rules themselves (`driftlake.config`), and how the page is drawn (`driftlake.report.pages`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PAGE = "runbooks.html"


@dataclass(frozen=True, slots=True)
class Runbook:
    """What an alert of the rule `name` means, and the first steps in order."""

    name: str
    title: str
    meaning: str
    steps: Sequence[str]

    @property
    def link(self) -> str:
        """Its address in the folder of the reports."""
        return f"{PAGE}#{self.name}"


RUNBOOKS = (
    Runbook(
        "feature-drift",
        "Feature drift",
        "For three days, the distribution of a feature has differed from training by more than chance explains.",
        (
            ("Read the probable cause of the incident. If many features drift at once, suspect an upstream change."),
            (
                "Compare the charts of the worst features: a sudden change suggests a fault or a release, a gradual one a "
                "season or a change in the world."
            ),
            "If one segment explains the shift, ask the producer of its data.",
            (
                "Look at scores and AUC. Drift that changes neither can wait. If the drift is permanent, retrain, "
                "and register the new version with its training data."
            ),
        ),
    ),
    Runbook(
        "feature-break",
        "Broken feature",
        "A feature broke from one day to the next, beyond any change on the 28 days before. Values are missing or in "
        "unseen categories, the feature has only one value or another unit, or it moved in one segment only. The "
        "alert pages if the features that broke together have at least 5 % of the importance.",
        (
            "Find the day and hour at which it began, and look for a lost or renamed column on that day.",
            "Ask the producer of the feature. Until it is repaired, the model predicts from broken values.",
            "After the repair, deliver the telemetry of these days again and run `driftlake run --date D` for each day.",
            "If the change is intended, register a version that was trained with it. The alert ends when the break is less than half as large as on its first day.",
        ),
    ),
    Runbook(
        "lost-volume",
        "Lost predictions",
        "At least 40 % of the usual predictions of this weekday did not arrive.",
        (
            "Find out what has stopped: the service, its callers, or only the delivery of telemetry.",
            "If the day is a holiday, add it to `calendar.holidays`. If the model was retired, the alert ends within four weeks.",
            "When the missing rows are delivered, run the day again.",
        ),
    ),
    Runbook(
        "score-drift",
        "Score drift",
        "For three days, the distribution of the scores has differed from training. With a fixed cut, the number "
        "of positive decisions changes.",
        (
            "Look at the drifted features of the same incident, the most important first.",
            "If no feature drifted, check whether another model artefact or another preprocessing is in use.",
            "Tell the users of the decisions how the share above the cut has changed.",
        ),
    ),
    Runbook(
        "performance-loss",
        "Performance worse than its tolerance",
        "There is evidence, added up night by night, that the model is worse than its baseline by more than its "
        "tolerance. At 1 the evidence is as strong as the budget of false pages requires.",
        (
            (
                "Check that labels are complete, because labels of one class often arrive earlier. The backlog says how "
                "many are missing."
            ),
            "Look at AUC by segment, and at estimated AUC, which needs no labels.",
            (
                "If features broke or drifted before, repair them first. If none did, the relation between features and target "
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
            "Look at the days on which labels arrived. A day without any suggests that the feed has stopped.",
            "If labels matched no prediction, compare a few of their correlation ids with those of predictions.",
            "If labels simply take longer now, correct `label_delay` in the lineage of the next version.",
        ),
    ),
    Runbook(
        "broken-contract",
        "Broken contract",
        "Inputs break a rule of severity error. The rows or files that break it are in quarantine and not counted.",
        (
            "Read the message: it names the file, the column and the number of rows.",
            '`driftlake sql "from quarantine order by dt desc"` shows what was left out.',
            (
                "Have the file repaired and run the day again. To change the severity of the rule, see "
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
            "For an unknown version, register its lineage file with `driftlake lineage add FILE`, then run the day again.",
            "If a day is missing or has few rows, ask the producer. Late files are found by the sensor or the next run.",
            "Duplicates mean that the same prediction was logged twice. Only the first is counted.",
        ),
    ),
    Runbook(
        "lost-columns",
        "Lost columns",
        "Columns that telemetry had before are missing.",
        (
            "Look for a new column with a similar name, and map a renamed column with `telemetry.columns`.",
            "If a feature was removed on purpose, register a version without it.",
        ),
    ),
    Runbook(
        "error-budget",
        "Error budget nearly spent",
        "Three quarters of the error budget of an objective are used up.",
        (
            (
                "Look at the burn rates in `slo_status`: if the rates over one and three days are below 1, the "
                "problem is over, and the budget recovers as bad days leave the period."
            ),
            "For latency, `latency_changes` names the stage that changed, and `service_part_levels` has the hours and nodes.",
            "For availability, `service_errors` has the kinds of errors, day by day.",
            (
                "If the budget is used up, stop releases until it has recovered. If nobody was affected, the "
                "objective is too strict."
            ),
        ),
    ),
)


def link_of(rule: str) -> str:
    """Link of the runbook of a default rule."""
    return next(runbook.link for runbook in RUNBOOKS if runbook.name == rule)
