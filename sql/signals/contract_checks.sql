-- Signals of contracts: failed checks of severity error, and shares of rows that failed those of severity warning.
-- A check of a column that is a feature concerns the versions that have it and predicted on the day.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: contract_checks, column_owners
with failed as (
    select
        c.* replace (
            coalesce(c.model_id, o.model_id) as model_id,
            coalesce(c.model_version, o.model_version) as model_version
        )
    from contract_checks as c
    left join column_owners as o
        on c.model_id is null
        and c.source = 'telemetry'
        and c.dt = o.dt
        and c.column_name = o.column_name
        and o.has_predicted
    where c.outcome = 'failed'
)

select
    dt,
    'contract_checks.failed' as signal,
    model_id,
    model_version,
    null::varchar as deployment,
    null::varchar as segment,
    source || '.' || expectation || coalesce('.' || column_name, '') as feature,
    1 as window_days,
    null::varchar as reference,
    count(*)::double as value,
    max(checked_count) as sample_count,
    null::double as noise_floor,
    min(message) as detail
from failed
where severity = 'error'
group by dt, model_id, model_version, source, expectation, column_name
union all
select
    dt,
    'contract_checks.warning_share' as signal,
    model_id,
    model_version,
    null::varchar as deployment,
    null::varchar as segment,
    source || '.' || expectation || coalesce('.' || column_name, '') as feature,
    1 as window_days,
    null::varchar as reference,
    -- a missing day has no rows, so it has no share
    max(if(checked_count = 0, 1, unexpected_count / checked_count)) as value,
    max(checked_count) as sample_count,
    null::double as noise_floor,
    min(message) as detail
from failed
where
    severity = 'warning'
    -- missing rates of features are a drift statistic with separate rules
    and expectation <> 'feature_is_as_complete_as_in_training'
group by dt, model_id, model_version, source, expectation, column_name;
