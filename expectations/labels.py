"""Rules about a day of labels: one row per label, partitioned by the day of arrival.

Conditions are SQL over the view checked_labels (sql/contract/checked_labels.sql), true for rows that break the rule. Not here:
whether a label finds its prediction (driftlake/nightly/label_source.py).
"""

from driftlake.contract.row_checks import DayRule, MeasuredRule, RowRule, Rule, repeated_rows
from driftlake.profiles.label_join import EARLY_LABEL_DAYS

# Checks of scores with labels, in production and in the training data.
SCORE_RULES = (
    MeasuredRule(
        name="score_ranks_the_positive_label_higher",
        column="score",
        message="{column} ranks the {checked} labels the wrong way round ({observed}): if another label is "
        "positive, set `labels.positive` in driftlake.yaml or the lineage; if the score is that of the negative "
        "class, deliver that of the positive class.",
    ),
    MeasuredRule(
        name="score_is_that_of_the_positive_class",
        column="score",
        message="{column} is never below 0.5 and far above the share of positive labels in {checked} labels ({observed}), as"
        " the probability of the predicted class is: deliver the probability of the positive class, or set `task: "
        "multiclass` and `classes` in the lineage.",
    ),
)

RULES: tuple[Rule, ...] = (
    RowRule(
        name="correlation_id_is_present",
        column="correlation_id",
        severity="error",
        condition="correlation_id is null",
        message="{column} is null in {unexpected} of {checked} rows; such a label cannot be joined to its prediction.",
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
        message="{column} is {observed} in {unexpected} of {checked} rows; expected 0 or 1, the labels that "
        "`labels.positive` and the training target name, any number for a regression, or a class of a multiclass "
        "model; these rows are refused.",
    ),
    DayRule(
        name="labels_are_of_two_classes",
        column="label",
        severity="error",
        # beside valid labels, an invalid number is probably the other class in another encoding; a text may mean that
        # a case is still open
        query="""
            select
                dt,
                count_if(not is_countable) as unexpected_count,
                coalesce(
                    mode(label_class) filter (where not is_countable), (mode(label) filter (where not is_countable))::varchar
                ) as observed
            from {batch}
            where coalesce(not isnan(label), label_class <> '')
            group by dt
            having
                unexpected_count >= 10
                and (
                    not bool_or(is_countable)
                    or (
                        count_if(not is_countable and label is not null) >= greatest(10, 0.1 * count(*))
                        and not bool_or(is_countable and label is null)
                        and min(label) filter (where is_countable) = max(label) filter (where is_countable)
                    )
                )
        """,
        message="{column} is {observed} or another value that no model counts in {unexpected} of {checked} rows, and "
        "the remaining labels have at most one class: set `labels.positive` in driftlake.yaml or the lineage, or "
        "`classes` for a multiclass model.",
    ),
    DayRule(
        name="correlation_id_is_unique",
        column="correlation_id",
        severity="warning",
        query=repeated_rows("correlation_id"),
        message="{column} repeats on the same day in {unexpected} of {checked} rows ({observed}); one label is "
        "counted.",
    ),
    MeasuredRule(
        name="correlation_id_is_unique_within_the_horizon",
        column="correlation_id",
        message="{unexpected} of {checked} labels match predictions of one version on several days; the nearest "
        "day before the label is used: give every prediction a different id, or add prediction_on to the labels.",
    ),
    RowRule(
        name="prediction_on_is_not_long_after_arrival",
        column="prediction_on",
        severity="warning",
        condition=f"prediction_on is not null and prediction_on > dt + {EARLY_LABEL_DAYS}",
        observed="'up to ' || max(prediction_on)::varchar",
        message="{column} is more than"
        f" {EARLY_LABEL_DAYS} days after the label's arrival"
        " ({observed}) in {unexpected} of {checked} rows; these labels are not counted: deliver them again when their"
        " predictions are there.",
    ),
    *SCORE_RULES,
    RowRule(
        name="label_time_is_not_after_arrival",
        column="label_time",
        severity="warning",
        # the day may be in local time, up to 14 hours away from the UTC day of the same name, and infinity has no microseconds
        condition="label_time is not null and (epoch_us(label_time) <= epoch_us(dt + 2)) is not true",
        observed="'up to ' || max(label_time)::varchar",
        message="{column} is later than the label's arrival ({observed}) in {unexpected} of {checked} rows.",
    ),
)
