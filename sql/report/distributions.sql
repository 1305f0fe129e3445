-- Training and production rows per bin of some features, production summed over a window.
-- grain: model_id, model_version, deployment, feature, bin_id
-- inputs: wanted_features (model_id, model_version, deployment, feature), feature_bins, reference_profile,
--         feature_profile, prediction_profile
-- parameters: $first_day, $last_day
with produced as (
    select
        f.model_id,
        f.model_version,
        f.deployment,
        f.feature,
        f.bin_id,
        sum(f.row_count) as row_count
    from feature_profile as f
    semi join wanted_features as w
        on f.model_id = w.model_id
        and f.model_version = w.model_version
        and f.deployment = w.deployment
        and f.feature = w.feature
    where f.dt between $first_day and $last_day and f.segment = 'all'
    group by f.model_id, f.model_version, f.deployment, f.feature, f.bin_id
    union all
    select
        model_id,
        model_version,
        deployment,
        'score' as feature,
        bin_id,
        sum(row_count) as row_count
    from prediction_profile
    where dt between $first_day and $last_day and segment = 'all'
    group by model_id, model_version, deployment, bin_id
)

select
    w.model_id,
    w.model_version,
    w.deployment,
    w.feature,
    b.bin_id,
    b.feature_kind,
    b.bin_kind,
    b.label,
    b.lower,
    b.upper,
    b.grid_transform,
    b.grid_scale,
    coalesce(r.row_count, 0) as reference_count,
    coalesce(p.row_count, 0)::bigint as current_count
from wanted_features as w
inner join feature_bins as b
    on w.model_id = b.model_id and w.model_version = b.model_version and w.feature = b.feature
left join reference_profile as r
    on b.model_id = r.model_id
    and b.model_version = r.model_version
    and b.feature = r.feature
    and b.bin_id = r.bin_id
left join produced as p
    on w.model_id = p.model_id
    and w.model_version = p.model_version
    and w.deployment = p.deployment
    and w.feature = p.feature
    and b.bin_id = p.bin_id
order by w.model_id, w.model_version, w.deployment, w.feature, b.bin_id;
