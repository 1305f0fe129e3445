-- Numbers of predictions of every group and day.
-- grain: dt, model_id, model_version, deployment, segment
-- inputs: prediction_profile, importance_profile, buckets (dt, bucket)
with counted as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        row_count
    from prediction_profile
    union all
    -- files of SHAP sums may have groups that telemetry does not have
    select distinct
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        0 as row_count
    from importance_profile
)

select
    p.dt,
    p.model_id,
    p.model_version,
    p.deployment,
    p.segment,
    sum(p.row_count)::bigint as row_count
from counted as p
inner join buckets as b on p.dt = b.dt
group by p.dt, p.model_id, p.model_version, p.deployment, p.segment
order by p.model_id, p.model_version, p.deployment, p.segment <> 'all', p.segment, p.dt;
