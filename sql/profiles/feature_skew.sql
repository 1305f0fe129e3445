-- Rows of feature_skew of one feature of one version.
-- grain: dt, model_id, model_version, deployment, segment, feature
-- inputs: value_pairs (a row per prediction: served and offline value, as a number and as a text), counted_segments
-- parameters: $feature; $tolerance, null for what rounding explains; $rounding, relative; $sample_ids, how many
-- nulls: a value that is nan, or text where a number is expected, is missing
with known as (
    select
        *,
        if(isfinite(served_number), served_number, null) as served,
        if(isfinite(offline_number), offline_number, null) as offline,
        served_text is null and not coalesce(isfinite(served_number), false) as is_served_missing,
        offline_text is null and not coalesce(isfinite(offline_number), false) as is_offline_missing
    from value_pairs
),

compared as (
    select
        * exclude (served, offline),
        served - offline as difference,
        case
            when is_served_missing or is_offline_missing then is_served_missing <> is_offline_missing
            when served_text is not null then served_text <> offline_text
            else
                abs(served - offline)
                > coalesce($tolerance::double, $rounding::double * greatest(abs(served), abs(offline)))
        end as is_different
    from known
),

-- a prediction counts once over all rows and once for each segment column
memberships as (
    select
        * exclude (segments),
        unnest(list_prepend('all', segments)) as segment
    from compared
),

segmented as (
    select
        m.* exclude (segment),
        counted_segment(m.segment, s.segment) as segment
    from memberships as m
    left join counted_segments as s
        on m.dt = s.dt
        and m.model_id = s.model_id
        and m.model_version = s.model_version
        and m.deployment = s.deployment
        and m.segment = s.segment
)

select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    $feature::varchar as feature,
    count(*) as compared_count,
    count(*) filter (where is_different) as different_count,
    count(*) filter (where is_different) / count(*) as different_share,
    count(*) filter (where is_different and is_served_missing) as missing_count,
    count(*) filter (where is_different and is_offline_missing) as surplus_count,
    count(*) filter (where is_different and difference < 0) as lower_count,
    count(*) filter (where is_different and difference > 0) as higher_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
    sum(try_cast(difference as decimal(38, 12))) filter (where is_different)::double
    / nullif(count(difference) filter (where is_different), 0) as mean_difference,
    arg_max(difference, (abs(difference), difference)) filter (where is_different) as largest_difference,
    if(bool_or(served_text is not null or offline_text is not null), null, $tolerance::double) as tolerance,
    coalesce(
        list_transform(
            min({'row_hash': md5_number_lower(correlation_id), 'id': correlation_id}, $sample_ids)
                filter (where is_different),
            lambda s: struct_extract(s, 'id')
        ),
        []
    ) as sample_ids
from segmented
group by dt, model_id, model_version, deployment, segment
order by dt, model_id, model_version, deployment, segment;
