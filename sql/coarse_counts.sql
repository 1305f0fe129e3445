-- Daily counts per coarse bin of every feature, and of the score under the name 'score'.
-- grain: dt, model_id, model_version, deployment, segment, feature, coarse_bin_id
-- inputs: feature_profile, prediction_profile, feature_bins
-- parameters: $first_day, $last_day
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
    where dt between $first_day and $last_day
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
    where dt between $first_day and $last_day
)

select
    p.dt,
    p.model_id,
    p.model_version,
    p.deployment,
    p.segment,
    p.feature,
    -- a version without scores has no score bins: everything is missing
    coalesce(b.coarse_bin_id, 0)::integer as coarse_bin_id,
    sum(p.row_count)::bigint as row_count
from profiles as p
left join feature_bins as b
    on p.model_id = b.model_id
    and p.model_version = b.model_version
    and p.feature = b.feature
    and p.bin_id = b.bin_id
group by p.dt, p.model_id, p.model_version, p.deployment, p.segment, p.feature, coalesce(b.coarse_bin_id, 0)
order by p.dt, p.model_id, p.model_version, p.deployment, p.segment, p.feature, coarse_bin_id;
