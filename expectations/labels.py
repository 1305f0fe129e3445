"""What is promised about a day of labels, a row per label, partitioned by the day it arrived.

Conditions are SQL over the view checked_labels (sql/checked_labels.sql), true for what breaks the promise. Not here:
whether a label finds its prediction (driftlake/nightly/label_source.py).
"""

from driftlake.contract.row_checks import DayRule, MeasuredRule, RowRule, Rule, repeated_rows

RULES: tuple[Rule, ...] = (
    RowRule(
        name="correlation_id_is_present",
        column="correlation_id",
        severity="error",
        condition="correlation_id is null",
        message="{column} is null in {unexpected} of {checked} rows; without it a label never meets its prediction.",
    ),
    RowRule(
        name="label_is_present",
        column="label",
        severity="warning",
        condition="label is null and label_class is null",
        message="{column} is null in {unexpected} of {checked} rows; these rows are refused.",
    ),
    RowRule(
        name="label_is_countable",
        column="label",
        severity="warning",
        condition="coalesce(label_class, label::varchar) is not null and not is_countable",
        value="coalesce(label_class, label::varchar)",
        message="{column} is {observed} in {unexpected} of {checked} rows; expected 0 or 1, any number if a version"
        " is a regression, a class if one is multiclass; these rows are refused.",
    ),
    DayRule(
        name="correlation_id_is_unique",
        column="correlation_id",
        severity="warning",
        query=repeated_rows("correlation_id"),
        message="{column} comes again on the same day in {unexpected} of {checked} rows ({observed}); "
        "one label is counted.",
    ),
    MeasuredRule(
        name="correlation_id_is_unique_within_the_horizon",
        column="correlation_id",
        message="{unexpected} of {checked} labels met predictions of one version on several days; the nearest before"
        " the label is labelled: give every prediction an id of its own, or say prediction_on in the labels.",
    ),
    RowRule(
        name="label_time_is_not_after_arrival",
        column="label_time",
        severity="warning",
        # the day may be local time, up to 14 hours away from the UTC day of its name, and infinity has no microseconds
        condition="label_time is not null and (epoch_us(label_time) <= epoch_us(dt + 2)) is not true",
        observed="'up to ' || max(label_time)::varchar",
        message="{column} is later than the label's arrival ({observed}) in {unexpected} of {checked} rows.",
    ),
)
