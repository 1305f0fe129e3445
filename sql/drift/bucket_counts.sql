-- Counts per stored bin of every feature, and of the score under the name 'score', summed over buckets of days.
-- grain: group_id, feature_id, bucket, bin_id
-- inputs: feature_profile, prediction_profile, buckets (dt, bucket), groups (group_id, model_id, model_version, deployment, segment),
-- counted_features (model_id, model_version, feature, feature_id)
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
    g.group_id,
    f.feature_id,
    b.bucket,
    p.bin_id,
    sum(p.row_count)::bigint as row_count
from profiles as p
inner join buckets as b on p.dt = b.dt
inner join groups as g
    on p.model_id = g.model_id
    and p.model_version = g.model_version
    and p.deployment = g.deployment
    and p.segment = g.segment
inner join counted_features as f
    on p.model_id = f.model_id
    and p.model_version = f.model_version
    and p.feature = f.feature
-- numbers, because names would take longer to group and to hand over than the counts
group by g.group_id, f.feature_id, b.bucket, p.bin_id
order by g.group_id;
