-- Counts per stored bin of every feature, and of the score under the name 'score', summed over buckets of days.
-- grain: bucket, model_id, model_version, deployment, segment, feature, bin_id
-- inputs: feature_profile, prediction_profile, buckets (dt, bucket), groups (model_id, model_version, deployment, segment)
-- parameters: $features, null for all of them
with profiles as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        bin_id,
        row_count
    from feature_profile
    where dt between (select min(m.dt) from buckets as m) and (select max(m.dt) from buckets as m)
    union all
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        'score' as feature,
        bin_id,
        row_count
    from prediction_profile
    where dt between (select min(m.dt) from buckets as m) and (select max(m.dt) from buckets as m)
)

select
    b.bucket,
    p.model_id,
    p.model_version,
    p.deployment,
    p.segment,
    p.feature,
    p.bin_id,
    sum(p.row_count)::bigint as row_count
from profiles as p
inner join buckets as b on p.dt = b.dt
semi join groups as g
    on p.model_id = g.model_id
    and p.model_version = g.model_version
    and p.deployment = g.deployment
    and p.segment = g.segment
where $features::varchar[] is null or list_contains($features::varchar[], p.feature)
group by b.bucket, p.model_id, p.model_version, p.deployment, p.segment, p.feature, p.bin_id
-- all rows together, before the segments
order by p.model_id, p.model_version, p.deployment, p.segment <> 'all', p.segment, p.feature, b.bucket, p.bin_id;
