"""What is expected of a day of labels, a row per label, partitioned by the day it arrived.

Not here: whether a label finds its prediction (driftlake/labels.py).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from expectations.rules import Rule, repeated_rows, rows_where, suite_of, values_where

if TYPE_CHECKING:
    import great_expectations as gx

RULES = (
    Rule(
        name="correlation_id_is_present",
        column="correlation_id",
        severity="error",
        query=rows_where('"correlation_id" is null', observed="'null'"),
        message="{column} is null in {unexpected} of {checked} rows; without it a label never meets its prediction.",
    ),
    Rule(
        name="label_is_present",
        column="label",
        severity="warning",
        query=rows_where('"label" is null and "label_class" is null', observed="'null'"),
        message="{column} is null in {unexpected} of {checked} rows; these rows are refused.",
    ),
    Rule(
        name="label_is_countable",
        column="label",
        severity="warning",
        query=values_where(
            'coalesce("label_class", "label"::varchar) is not null and not "is_countable"',
            value='coalesce("label_class", "label"::varchar)',
        ),
        message="{column} is {observed} in {unexpected} of {checked} rows; expected 0 or 1, any number if a version"
        " is a regression, a class if one is multiclass; these rows are refused.",
    ),
    Rule(
        name="correlation_id_is_unique",
        column="correlation_id",
        severity="warning",
        query=repeated_rows("correlation_id"),
        message="{column} comes again on the same day in {unexpected} of {checked} rows ({observed}); "
        "one label is counted.",
    ),
    Rule(
        name="label_time_is_not_after_arrival",
        column="label_time",
        severity="warning",
        # As with event_time, the day may be local time, and infinity has no microseconds.
        query=rows_where(
            '"label_time" is not null and (epoch_us("label_time") <= epoch_us("dt" + 2)) is not true',
            observed="""'up to ' || max("label_time")::varchar""",
        ),
        message="{column} is later than the label's arrival ({observed}) in {unexpected} of {checked} rows.",
        is_optional=True,
    ),
)


def labels_suite(columns: Collection[str]) -> gx.ExpectationSuite:
    """Contract of labels that have these columns."""
    return suite_of("labels", RULES, columns)
