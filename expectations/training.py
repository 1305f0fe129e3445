"""Rules about the training data of a version, checked when it is registered.

Conditions are SQL over the view training_rows (driftlake/training/contract_check.py), true for rows that break the rule. A rule
of severity error refuses the version. Not here: columns that are missing or cannot be learned from (driftlake/training/learning.py).
"""

from driftlake.contract.row_checks import DayRule, MeasuredRule, RowRule, Rule
from expectations.labels import SCORE_RULES

RULES: tuple[Rule, ...] = (
    RowRule(
        name="target_is_present",
        column="target",
        severity="warning",
        condition="has_target and target is null",
        message="{column} is null in {unexpected} of {checked} training rows; these rows are not used for the quality baseline.",
    ),
    RowRule(
        name="score_is_a_probability",
        column="score",
        severity="error",
        condition="is_score_probability and isfinite(score) and score not between 0 and 1",
        observed="printf('min %.6g, max %.6g', min(score)::double, max(score)::double)",
        message="{column} lies outside 0..1 ({observed}) in {unexpected} of {checked} training rows; set "
        "`score_kind: percent` in the lineage if it is a percentage, or `score_kind: value` if it is another "
        "score that ranks.",
    ),
    MeasuredRule(
        name="feature_varies",
        column=None,
        message="{column} has the same value in all {checked} training rows, so any other value is drift.",
    ),
    *SCORE_RULES,
)


def enough_rows(minimum_rows: int) -> DayRule:
    """Rule that there are at least `minimum_rows` training rows."""
    return DayRule(
        name="training_rows_are_enough",
        column="target",
        severity="warning",
        query="select dt, count(*) as unexpected_count, count(*) || ' rows' as observed from {batch} group by dt"
        f" having count(*) < {minimum_rows}",
        message=f"the training data has {{observed}}; with fewer than {minimum_rows} rows, comparisons show little but noise.",
    )
