-- Days with values of every feature, and of the score under the name 'score', in buckets of days.
-- grain: bucket, model_id, model_version, deployment, segment, feature
-- inputs: feature_stats, prediction_profile, buckets (dt, bucket)
with counted as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        feature
    from feature_stats
    union all
    select distinct
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        'score' as feature
    from prediction_profile
)

select
    b.bucket,
    c.model_id,
    c.model_version,
    c.deployment,
    c.segment,
    c.feature,
    count(*) as day_count
from counted as c
inner join buckets as b on c.dt = b.dt
group by b.bucket, c.model_id, c.model_version, c.deployment, c.segment, c.feature
order by c.model_id, c.model_version, c.deployment, c.segment <> 'all', c.segment, c.feature, b.bucket;
