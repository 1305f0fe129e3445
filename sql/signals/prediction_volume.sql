-- Signal of lost volume: the share of the usual predictions of the weekday that did not arrive. Days on which none are expected have no value.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: prediction_volume, partition_runs, contract_checks
with counts as (
    select
        dt,
        model_id,
        deployment,
        sum(prediction_count) as row_count
    from prediction_volume
    group by dt, model_id, deployment
),

-- days without telemetry are checked by the contract, and refused days say nothing
processed as (
    select dt
    from partition_runs
    where stage = 'profiles'
    group by dt
    having arg_max(outcome, row(snapshot_id, committed_at)) in ('complete', 'partial')
),

-- only while the model predicts, so that a model that was switched off is reported once
expected as (
    select
        p.dt,
        c.model_id,
        c.deployment,
        median(c.row_count) as usual_count
    from processed as p
    inner join counts as c on p.dt - c.dt in (7, 14, 21, 28)
    group by p.dt, c.model_id, c.deployment
    having count(*) >= 2
)

select
    e.dt,
    'prediction_volume.lost_share' as signal,
    e.model_id,
    null::varchar as model_version,
    e.deployment,
    null::varchar as segment,
    null::varchar as feature,
    1 as window_days,
    null::varchar as reference,
    1 - coalesce(c.row_count, 0) / e.usual_count as value,
    e.usual_count::bigint as sample_count,
    -- how much can be lost by chance if there are few predictions
    4 / sqrt(e.usual_count) as noise_floor,
    format(
        '{:d} predictions of {} ({}), usually {:.0f} on such a weekday',
        coalesce(c.row_count, 0)::bigint,
        e.model_id,
        e.deployment,
        e.usual_count
    ) as detail
from expected as e
left join counts as c on e.dt = c.dt and e.model_id = c.model_id and e.deployment = c.deployment;
