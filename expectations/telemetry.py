"""Rules about a day of telemetry, one row per prediction.

Conditions are SQL over the view telemetry (sql/contract/telemetry.sql), true for rows that break the rule. Not here: drift of
features, which is measured and not a rule.
"""

from collections.abc import Iterable
from datetime import date

from driftlake.config import PseudonymKey
from driftlake.contract.row_checks import DayRule, MeasuredRule, RowRule, Rule, repeated_rows
from driftlake.lake.queries import literal

RULES: tuple[Rule, ...] = (
    RowRule(
        name="correlation_id_is_present",
        column="correlation_id",
        severity="error",
        condition="correlation_id is null",
        message="{column} is null in {unexpected} of {checked} rows; such a prediction cannot be joined to its label.",
    ),
    RowRule(
        name="event_time_is_present",
        column="event_time",
        severity="error",
        condition="event_time is null",
        message="{column} is null in {unexpected} of {checked} rows; every prediction needs a time.",
    ),
    RowRule(
        name="event_time_is_in_its_day",
        column="event_time",
        severity="warning",
        # Microseconds since 1970 are the same for timestamps with and without time zone, and much faster to compare;
        # infinity has none.
        condition="event_time is not null and (epoch_us(event_time) between day_start_us and day_end_us) is not true",
        observed="min(event_time)::varchar || ' to ' || max(event_time)::varchar",
        message="{column} lies outside its partition's day ({observed}) in {unexpected} of {checked} rows.",
    ),
    RowRule(
        name="score_is_a_probability",
        column="score",
        severity="warning",
        # NaN compares greater than every number, so it counts as outside.
        condition="score not between 0 and 1 and is_score_probability",
        observed="printf('min %.6g, max %.6g', min(score)::double, max(score)::double)",
        message="{column} lies outside 0..1 ({observed}) in {unexpected} of {checked} rows; a probability is "
        "expected: set `score_kind: percent` in the lineage if it is a percentage, or `score_kind: value` if it "
        "is another score that ranks.",
    ),
    RowRule(
        name="latency_ms_is_not_negative",
        column="latency_ms",
        severity="warning",
        condition="latency_ms < 0",
        observed="printf('min %.6g', min(latency_ms)::double)",
        message="{column} is negative ({observed}) in {unexpected} of {checked} rows; a duration is expected.",
    ),
    RowRule(
        name="deployment_is_known",
        column="deployment",
        severity="warning",
        condition="deployment not in ('production', 'shadow', 'canary')",
        value="deployment",
        message="{column} is {observed} in {unexpected} of {checked} rows; expected production, shadow or canary.",
    ),
    RowRule(
        name="model_version_is_known",
        column="model_version",
        severity="warning",
        condition="not is_known_version",
        value="concat_ws('/', model_id, model_version)",
        message="{column} has no training run ({observed}) in {unexpected} of {checked} rows; register its lineage.",
    ),
    RowRule(
        name="training_dataset_is_that_of_the_lineage",
        column="training_dataset_id",
        severity="warning",
        condition="training_dataset_id <> registered_dataset_id",
        value="concat_ws(' ', model_version, 'says', training_dataset_id)",
        message="{column} differs from the lineage ({observed}) in {unexpected} of {checked} rows; these "
        "predictions are compared with data on which their model was not trained.",
    ),
    RowRule(
        name="user_key_is_a_pseudonym",
        column="user_key",
        severity="warning",
        # a value that breaks the rule may be a raw identifier, so it is not reported
        condition="user_key is not null and (length(user_key) <> 64 or regexp_matches(user_key, '[^0-9a-f]'))",
        observed="printf('%d to %d characters', min(length(user_key)), max(length(user_key)))",
        message="{column} is not 64 hexadecimal digits ({observed}) in {unexpected} of {checked} rows;"
        " `driftlake pseudonymize` creates such keys.",
    ),
    MeasuredRule(
        name="prediction_is_unique",
        column="correlation_id",
        message="{column} repeats for the same model version in {unexpected} of {checked} rows; each prediction is "
        "counted once.",
    ),
    MeasuredRule(
        name="feature_is_as_complete_as_in_training",
        column=None,
        message="{column} is missing in {unexpected} of {checked} rows, {observed}.",
    ),
    MeasuredRule(
        name="row_count_is_usual",
        column=None,
        message="the day has {checked} rows, {observed}.",
    ),
    MeasuredRule(
        name="partition_is_present",
        column=None,
        message="{observed}.",
    ),
    MeasuredRule(
        name="partition_reaches_its_evening",
        column="event_time",
        message="the last {column} is {observed}: the last hours of the day may not have been delivered.",
    ),
)


def unique_in_file(rule: Rule) -> Rule:
    """The rule; the rule about unique predictions as a query, because sample files are not counted, so nothing else finds repetitions."""
    if rule.name != "prediction_is_unique" or rule.column is None:
        return rule
    query = repeated_rows("correlation_id", "model_id", "model_version")
    return DayRule(rule.name, rule.column, rule.severity, query, rule.message)


def user_key_id_is_valid(keys: Iterable[PseudonymKey]) -> RowRule:
    """Rule that pseudonyms come from one of `keys` on a day on which it is valid."""
    is_valid = " or ".join(
        f"(user_key_id = {literal(key.id)} and dt between date '{key.valid_from}'"
        f" and date '{key.valid_until or date.max}')"
        for key in keys
    )
    return RowRule(
        name="user_key_id_is_valid",
        column="user_key_id",
        severity="warning",
        condition=f"(user_key is not null or user_key_id is not null) and ({is_valid}) is not true",
        value="coalesce(user_key_id, 'null')",
        message="{column} is {observed} in {unexpected} of {checked} rows, which is not a key of `pseudonyms` that is valid on the day.",
    )
