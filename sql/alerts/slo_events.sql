-- Good and total events of every objective on every day with events.
-- grain: dt, slo, model_id
-- inputs: slos, service_profile, service_parts, model_quality, prediction_profile, label_cohorts, feature_drift, prediction_volume
-- parameters: $first_day, $last_day
-- nulls: an objective without a model applies to every model
with latency as (
    select
        p.dt,
        s.name as slo,
        p.model_id,
        -- the middle of the bin that contains the limit decides
        coalesce(sum(p.row_count) filter (where sqrt(p.lower_ms * p.upper_ms) < s.under_ms), 0) as good_count,
        sum(p.row_count) as total_count
    from slos as s
    inner join service_profile as p
        on coalesce(s.model_id, p.model_id) = p.model_id
        and list_contains(s.deployments, p.deployment)
        and s.metric = p.metric
        and p.segment = 'all'
    where s.sli = 'latency' and p.dt between $first_day and $last_day
    group by p.dt, s.name, p.model_id
),

availability as (
    select
        p.dt,
        s.name as slo,
        p.model_id,
        sum(p.success_count) as good_count,
        sum(p.outcome_count) as total_count
    from slos as s
    inner join service_parts as p
        on coalesce(s.model_id, p.model_id) = p.model_id
        and list_contains(s.deployments, p.deployment)
        and p.hour_at is null
        and p.node_id is null
    where s.sli = 'availability' and p.dt between $first_day and $last_day
    group by p.dt, s.name, p.model_id
),

-- a version on a day is an event
quality as (
    select
        q.dt,
        s.name as slo,
        q.model_id,
        count(*) filter (where q.drop_from_baseline <= s.tolerance) as good_count,
        count(*) as total_count
    from slos as s
    inner join model_quality as q
        on coalesce(s.model_id, q.model_id) = q.model_id
        and list_contains(s.deployments, q.deployment)
        and s.statistic = q.statistic
        and s.window_days = q.window_days
        and q.segment = 'all'
    where s.sli = 'quality' and q.drop_from_baseline is not null and q.dt between $first_day and $last_day
    group by q.dt, s.name, q.model_id
),

predicted as (
    select
        dt as prediction_on,
        model_id,
        deployment,
        sum(row_count) as prediction_count
    from prediction_profile
    where segment = 'all'
    group by dt, model_id, deployment
),

-- a prediction is an event on the day on which its label is due
timely as (
    select
        s.name as slo,
        c.prediction_on,
        c.model_id,
        c.deployment,
        sum(c.positive_count + c.negative_count + coalesce(c.number_count, 0)) as labelled_count
    from slos as s
    inner join label_cohorts as c
        on coalesce(s.model_id, c.model_id) = c.model_id and c.dt <= c.prediction_on + s.within_days
    where s.sli = 'label_timeliness' and c.segment = 'all'
    group by s.name, c.prediction_on, c.model_id, c.deployment
),

label_timeliness as (
    select
        p.prediction_on + s.within_days as dt,
        s.name as slo,
        p.model_id,
        sum(least(coalesce(t.labelled_count, 0), p.prediction_count)) as good_count,
        sum(p.prediction_count) as total_count
    from slos as s
    inner join predicted as p
        on coalesce(s.model_id, p.model_id) = p.model_id and list_contains(s.deployments, p.deployment)
    left join timely as t
        on s.name = t.slo
        and p.prediction_on = t.prediction_on
        and p.model_id = t.model_id
        and p.deployment = t.deployment
    where s.sli = 'label_timeliness' and p.prediction_on + s.within_days between $first_day and $last_day
    group by p.prediction_on + s.within_days, s.name, p.model_id
),

-- a feature of a version on a day is an event
drift_share as (
    select
        f.dt,
        s.name as slo,
        f.model_id,
        count(*) filter (where f.outcome <> 'drift') as good_count,
        count(*) as total_count
    from slos as s
    inner join feature_drift as f
        on coalesce(s.model_id, f.model_id) = f.model_id
        and list_contains(s.deployments, f.deployment)
        and s.statistic = f.statistic
        and s.window_days = f.window_days
        and f.segment = 'all'
        and f.reference = 'training'
        and (len(s.features) = 0 or list_contains(s.features, f.feature))
    where s.sli = 'drift_share' and f.outcome <> 'insufficient_data' and f.dt between $first_day and $last_day
    group by f.dt, s.name, f.model_id
),

volume as (
    select
        v.dt,
        s.name as slo,
        v.model_id,
        sum(v.prediction_count)::bigint as prediction_count
    from slos as s
    inner join prediction_volume as v
        on coalesce(s.model_id, v.model_id) = v.model_id and list_contains(s.deployments, v.deployment)
    where s.sli = 'completeness' and v.dt between $first_day::date - 28 and $last_day
    group by v.dt, s.name, v.model_id
),

-- predictions on the same weekdays of the four weeks before; a missing day says nothing about what to expect
expected as (
    select
        d.dt,
        v.slo,
        v.model_id,
        round(median(v.prediction_count))::bigint as expected_count
    from (
        select generate_series::date as dt
        from generate_series($first_day::date, $last_day::date, interval 1 day)
    ) as d
    inner join volume as v on d.dt - v.dt in (7, 14, 21, 28)
    group by d.dt, v.slo, v.model_id
),

completeness as (
    select
        coalesce(v.dt, e.dt) as dt,
        coalesce(v.slo, e.slo) as slo,
        coalesce(v.model_id, e.model_id) as model_id,
        coalesce(v.prediction_count, 0) as good_count,
        -- more than expected counts as complete
        greatest(coalesce(e.expected_count, 0), coalesce(v.prediction_count, 0)) as total_count
    from volume as v
    full join expected as e on v.dt = e.dt and v.slo = e.slo and v.model_id = e.model_id
    where coalesce(v.dt, e.dt) >= $first_day
),

events as (
    from latency
    union all
    from availability
    union all
    from quality
    union all
    from label_timeliness
    union all
    from drift_share
    union all
    from completeness
)

select
    dt,
    slo,
    model_id,
    good_count::bigint as good_count,
    total_count::bigint as total_count
from events
where total_count > 0
order by dt, slo, model_id;
