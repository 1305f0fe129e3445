-- Days with values of every feature, and of the score under the name 'score', in buckets of days.
-- grain: bucket, model_id, model_version, deployment, segment, feature
-- inputs: feature_stats, prediction_profile, buckets (dt, bucket), groups (model_id, model_version, deployment, segment)
-- parameters: $features, null for all of them
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
semi join groups as g
    on c.model_id = g.model_id
    and c.model_version = g.model_version
    and c.deployment = g.deployment
    and c.segment = g.segment
where $features::varchar[] is null or list_contains($features::varchar[], c.feature)
group by b.bucket, c.model_id, c.model_version, c.deployment, c.segment, c.feature
order by c.model_id, c.model_version, c.deployment, c.segment <> 'all', c.segment, c.feature, b.bucket;
