-- The bins of a feature whose share of the rows has grown most between training and a day.
-- grain: bin_id
-- inputs: feature_profile, reference_profile, feature_bins
-- parameters: $day, $model_id, $model_version, $deployment, $feature
with counted as (
    select
        b.bin_id,
        b.bin_kind,
        b.label,
        b.category,
        b.lower,
        b.upper,
        min(b.lower) over () as lowest,
        max(b.upper) over () as highest,
        coalesce(c.row_count, 0) as current_count,
        coalesce(r.row_count, 0) as reference_count
    from feature_bins as b
    left join feature_profile as c
        on b.model_id = c.model_id
        and b.model_version = c.model_version
        and b.feature = c.feature
        and b.bin_id = c.bin_id
        and c.dt = $day
        and c.deployment = $deployment
        and c.segment = 'all'
    left join reference_profile as r
        on b.model_id = r.model_id
        and b.model_version = r.model_version
        and b.feature = r.feature
        and b.bin_id = r.bin_id
    where b.model_id = $model_id and b.model_version = $model_version and b.feature = $feature
),

grown as (
    select
        *,
        current_count / sum(current_count) over () - reference_count / sum(reference_count) over () as growth
    from counted
)

select * exclude (current_count, reference_count)
from grown
where growth > 0
order by growth desc, bin_id
limit 3;
