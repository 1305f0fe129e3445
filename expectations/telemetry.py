"""What is expected of a day of telemetry, a row per prediction.

Not here: features; their drift is measured, not promised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from driftlake.config import PseudonymKey
from driftlake.queries import literal
from expectations.rules import Rule, repeated_rows, rows_where, suite_of, values_where

if TYPE_CHECKING:
    import great_expectations as gx

SCORE_IS_A_PROBABILITY = Rule(
    name="score_is_a_probability",
    column="score",
    severity="warning",
    query=rows_where(
        # NaN compares greater than every number, so it counts as outside.
        '"score" not between 0 and 1',
        observed="""printf('min %.6g, max %.6g', min("score")::double, max("score")::double)""",
    ),
    message="{column} lies outside 0..1 ({observed}) in {unexpected} of {checked} rows; a probability is expected.",
    is_optional=True,
)

RULES = (
    Rule(
        name="correlation_id_is_present",
        column="correlation_id",
        severity="error",
        query=rows_where('"correlation_id" is null', observed="'null'"),
        message="{column} is null in {unexpected} of {checked} rows; without it a prediction never meets its label.",
    ),
    Rule(
        name="event_time_is_present",
        column="event_time",
        severity="error",
        query=rows_where('"event_time" is null', observed="'null'"),
        message="{column} is null in {unexpected} of {checked} rows; every prediction has a time.",
    ),
    Rule(
        name="event_time_is_near_its_day",
        column="event_time",
        severity="warning",
        # A day of local time starts and ends up to 14 hours away from the UTC day of its name. Microseconds since 1970
        # are the same for timestamps with and without time zone, and much faster to compare; infinity has none.
        query=rows_where(
            '"event_time" is not null'
            ' and (epoch_us("event_time") between epoch_us("dt" - 1) and epoch_us("dt" + 2)) is not true',
            observed="""min("event_time")::varchar || ' to ' || max("event_time")::varchar""",
        ),
        message="{column} is more than a day away from its partition ({observed}) in {unexpected} of {checked} rows.",
    ),
    SCORE_IS_A_PROBABILITY,
    Rule(
        name="latency_ms_is_not_negative",
        column="latency_ms",
        severity="warning",
        query=rows_where('"latency_ms" < 0', observed="""printf('min %.6g', min("latency_ms")::double)"""),
        message="{column} is negative ({observed}) in {unexpected} of {checked} rows; a duration is expected.",
        is_optional=True,
    ),
    Rule(
        name="deployment_is_known",
        column="deployment",
        severity="warning",
        query=values_where(""""deployment" not in ('production', 'shadow', 'canary')""", value='"deployment"::varchar'),
        message="{column} is {observed} in {unexpected} of {checked} rows; expected production, shadow or canary.",
        is_optional=True,
    ),
    Rule(
        name="prediction_is_unique",
        column="correlation_id",
        severity="warning",
        query=repeated_rows("correlation_id", "model_id", "model_version"),
        message="{column} comes again for the same model version in {unexpected} of {checked} rows ({observed}); "
        "each prediction is counted once.",
    ),
    Rule(
        name="model_version_is_known",
        column="model_version",
        severity="warning",
        query=values_where('"is_known_version" is not true', value="""concat_ws('/', "model_id", "model_version")"""),
        message="{column} has no training run ({observed}) in {unexpected} of {checked} rows; register its lineage.",
    ),
    Rule(
        name="user_key_is_a_pseudonym",
        column="user_key",
        severity="warning",
        # what breaks the rule may be a raw identifier, so it is not observed
        query=rows_where(
            """"user_key" is not null and (length("user_key") <> 64 or regexp_matches("user_key", '[^0-9a-f]'))""",
            observed="""printf('%d to %d characters', min(length("user_key")), max(length("user_key")))""",
        ),
        message="{column} is not 64 hexadecimal digits ({observed}) in {unexpected} of {checked} rows;"
        " `driftlake pseudonymize` makes them.",
        is_optional=True,
    ),
)


def user_key_id_is_valid(keys: Iterable[PseudonymKey]) -> Rule:
    """Rule that pseudonyms come from one of `keys` on a day on which it is valid."""
    is_valid = " or ".join(
        f"""("user_key_id" = {literal(key.id)} and "dt" between date '{key.valid_from}'"""
        f""" and date '{key.valid_until or date.max}')"""
        for key in keys
    )
    return Rule(
        name="user_key_id_is_valid",
        column="user_key_id",
        severity="warning",
        query=values_where(
            f'("user_key" is not null or "user_key_id" is not null) and ({is_valid}) is not true',
            value="""coalesce("user_key_id", 'null')""",
        ),
        message="{column} is {observed} in {unexpected} of {checked} rows, no key of `pseudonyms` that is valid on the day.",
        is_optional=True,
    )


def telemetry_suite(
    columns: Collection[str], *, score_is_probability: bool = True, keys: Sequence[PseudonymKey] = ()
) -> gx.ExpectationSuite:
    """Contract of telemetry that has these columns, next to a boolean is_known_version; `keys` are those of pseudonyms.

    Where only some models score probabilities, give the others' rows a null score: null breaks no rule about a score.
    """
    rules = [rule for rule in RULES if score_is_probability or rule is not SCORE_IS_A_PROBABILITY]
    return suite_of("telemetry", [*rules, user_key_id_is_valid(keys)] if keys else rules, columns)
