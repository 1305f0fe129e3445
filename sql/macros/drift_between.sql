-- How far is every feature (and the score) of a period from another, in plain SQL over the profile tables? A row per feature.
--   from drift_between('flight_delay', 'v2', date '2013-12-01', date '2013-12-28')
--   from drift_between('flight_delay', 'v2', date '2013-12-01', date '2013-12-28', against := 'period',
--                      against_from := date '2013-07-01', against_to := date '2013-07-28')
--   from drift_between('flight_delay', 'v2', date '2013-12-01', date '2013-12-28', against := 'period', against_version := 'v1')
-- model, version, from_day, to_day: the compared predictions; deployment_name and segment_name narrow it ('production', 'all')
-- against: 'training' or 'period' (against_from to against_to, the same days if not given). against_version,
-- against_deployment and against_segment choose the reference; by default they are the same. Days that are on both sides are left out of the reference, and so are
-- features that another version counts in other bins.
-- smoothing: rows added to every occupied bin on both sides before comparing, per thousand rows, as drift.smoothing
-- The values are those of feature_drift; noise and outcome are only in feature_drift.
create or replace temp macro drift_between(
    model,
    version,
    from_day,
    to_day,
    against := 'training',
    against_from := null,
    against_to := null,
    against_version := null,
    against_deployment := null,
    against_segment := null,
    deployment_name := 'production',
    segment_name := 'all',
    smoothing := 0.5
) as table
    with reference_side as (
        select
            coalesce(against_version, version) as model_version,
            coalesce(against_deployment, deployment_name) as deployment,
            coalesce(against_segment, segment_name) as segment,
            coalesce(against_from, from_day) as first_day,
            coalesce(against_to, to_day) as last_day
    ),

    profiles as (
        select
            dt,
            model_version,
            deployment,
            segment,
            feature,
            bin_id,
            row_count
        from feature_profile
        where model_id = model
        union all
        select
            dt,
            model_version,
            deployment,
            segment,
            'score' as feature,
            bin_id,
            row_count
        from prediction_profile
        where model_id = model
    ),

    reference_counts as (
        select
            p.feature,
            p.bin_id,
            p.row_count
        from reference_profile as p
        inner join reference_side as r on p.model_version = r.model_version and r.segment = 'all'
        where against = 'training' and p.model_id = model
        union all
        select
            p.feature,
            p.bin_id,
            p.row_count
        from segment_reference_profile as p
        inner join reference_side as r on p.model_version = r.model_version and p.segment = r.segment
        where against = 'training' and p.model_id = model
        union all
        select
            p.feature,
            p.bin_id,
            p.row_count
        from profiles as p
        inner join reference_side as r
            on p.model_version = r.model_version and p.deployment = r.deployment and p.segment = r.segment
        where
            against = 'period'
            and p.dt between r.first_day and r.last_day
            -- a period that is part of its own reference is compared with the rest of it
            and not (
                p.dt between from_day and to_day
                and p.model_version = version and p.deployment = deployment_name and p.segment = segment_name
            )
    ),

    -- the bin of the reference's version that counts the same values
    bin_pairs as (
        select
            b.feature,
            b.bin_id,
            o.bin_id as reference_bin_id
        from feature_bins as b
        inner join reference_side as r on true
        inner join feature_bins as o
            on
                b.model_id = o.model_id
                and r.model_version = o.model_version
                and b.feature = o.feature
                and b.bin_kind = o.bin_kind
                and b.category is not distinct from o.category
                and b.cell_first is not distinct from o.cell_first
                and b.cell_last is not distinct from o.cell_last
                and b.lower is not distinct from o.lower
                and b.upper is not distinct from o.upper
                and b.grid_transform is not distinct from o.grid_transform
                and b.grid_scale is not distinct from o.grid_scale
                and b.grid_lower is not distinct from o.grid_lower
                and b.grid_upper is not distinct from o.grid_upper
                and b.grid_cells is not distinct from o.grid_cells
        where b.model_id = model and b.model_version = version
    ),

    -- categories that only one version knows
    odd_categories as (
        select c.feature
        from feature_categories as c
        inner join reference_side as r on c.model_version in (version, r.model_version)
        where c.model_id = model
        group by c.feature, c.category, r.model_version
        having count(*) < if(r.model_version = version, 1, 2)
    ),

    bin_numbers as (
        select
            feature,
            model_version,
            count(*) as bin_count
        from feature_bins
        where model_id = model
        group by feature, model_version
    ),

    comparable as (
        select p.feature
        from bin_pairs as p
        inner join reference_side as r on true
        inner join bin_numbers as b on p.feature = b.feature and b.model_version = version
        inner join bin_numbers as o on p.feature = o.feature and r.model_version = o.model_version
        where p.feature not in (select c.feature from odd_categories as c)
        group by p.feature, b.bin_count, o.bin_count
        having count(*) = b.bin_count and count(*) = o.bin_count
    ),

    sides as (
        select
            feature,
            bin_id,
            sum(row_count) as current_rows,
            0 as reference_rows
        from profiles
        where
            dt between from_day and to_day
            and model_version = version and deployment = deployment_name and segment = segment_name
        group by feature, bin_id
        union all
        select
            c.feature,
            p.bin_id,
            0 as current_rows,
            sum(c.row_count) as reference_rows
        from reference_counts as c
        inner join bin_pairs as p on c.feature = p.feature and c.bin_id = p.reference_bin_id
        inner join comparable as o on c.feature = o.feature
        group by c.feature, p.bin_id
    ),

    binned as (
        select
            b.feature,
            b.bin_id,
            b.bin_kind,
            b.coarse_bin_id,
            -- range of the values in the bin, if known
            coalesce(b.training_low, b.lower) as low,
            coalesce(b.training_high, b.upper) as high,
            coalesce(sum(s.current_rows), 0)::double as current_rows,
            coalesce(sum(s.reference_rows), 0)::double as reference_rows
        from feature_bins as b
        left join sides as s on b.feature = s.feature and b.bin_id = s.bin_id
        where b.model_id = model and b.model_version = version
        group by b.feature, b.bin_id, b.bin_kind, b.coarse_bin_id, low, high
    ),

    counted as (
        select
            feature,
            sum(current_rows) as current_rows,
            sum(reference_rows) as reference_rows,
            sum(sum(current_rows)) over whole as current_count,
            sum(sum(reference_rows)) over whole as reference_count,
            count(*) over whole as occupied_bins
        from binned
        group by feature, coarse_bin_id
        having sum(current_rows) + sum(reference_rows) > 0
        window whole as (partition by feature)
    ),

    -- with more than a thousand rows, each side gets this number per thousand
    smoothed as (
        select
            *,
            smoothing * greatest(current_count / 1000, 1) as current_added,
            smoothing * greatest(reference_count / 1000, 1) as reference_added
        from counted
    ),

    coarse as (
        select
            *,
            (current_rows + current_added) / (current_count + current_added * occupied_bins) as q,
            (reference_rows + reference_added) / (reference_count + reference_added * occupied_bins) as p
        from smoothed
    ),

    divergences as (
        select
            feature,
            any_value(current_count)::bigint as current_count,
            any_value(reference_count)::bigint as reference_count,
            sum((q - p) * ln(q / p)) as psi,
            sum(q * ln(q / p)) as kl_divergence,
            sqrt(greatest(sum(p * ln(2 * p / (p + q)) + q * ln(2 * q / (p + q))) / 2 / ln(2), 0)) as js_distance,
            sqrt(sum(pow(sqrt(p) - sqrt(q), 2)) / 2) as hellinger_distance,
            sum(abs(current_rows / current_count - reference_rows / reference_count)) / 2 as total_variation_distance
        from coarse
        where current_count > 0 and reference_count > 0
        group by feature
    ),

    shares as (
        select
            feature,
            sum(current_rows) filter (where bin_kind = 'missing') / sum(current_rows)
            - sum(reference_rows) filter (where bin_kind = 'missing') / sum(reference_rows) as missing_rate_change,
            sum(current_rows) filter (where bin_kind = 'below') / sum(current_rows)
            - sum(reference_rows) filter (where bin_kind = 'below') / sum(reference_rows) as below_range_change,
            sum(current_rows) filter (where bin_kind = 'above') / sum(current_rows)
            - sum(reference_rows) filter (where bin_kind = 'above') / sum(reference_rows) as above_range_change,
            sum(current_rows) filter (where bin_kind = 'unseen') / sum(current_rows)
            - sum(reference_rows) filter (where bin_kind = 'unseen') / sum(reference_rows) as unseen_change
        from binned
        group by feature
        having sum(current_rows) > 0 and sum(reference_rows) > 0
    ),

    measured as (
        select
            *,
            sum(current_rows) over whole as current_size,
            sum(reference_rows) over whole as reference_size,
            case bin_kind when 'below' then -1 when 'above' then 1000000 else bin_id end as place,
            -- values beyond the grid count as at its end
            coalesce((low + high) / 2, if(bin_kind = 'below', min(low) over whole, max(high) over whole)) as middle,
            coalesce(high - low, 0) as width
        from binned
        where bin_kind in ('below', 'range', 'above')
        window whole as (partition by feature)
    ),

    cumulative as (
        select
            *,
            reference_rows / reference_size as reference_share,
            sum(reference_rows / reference_size * middle) over (partition by feature) as reference_mean,
            sum(current_rows) over upward / current_size - sum(reference_rows) over upward / reference_size as difference
        from measured
        where current_size > 0 and reference_size > 0
        window upward as (partition by feature order by place)
    ),

    steps as (
        select
            *,
            coalesce(lag(difference) over upward, 0) as before,
            coalesce(low - lag(high) over upward, 0) as gap
        from cumulative
        window upward as (partition by feature order by place)
    ),

    distances as (
        select
            feature,
            max(abs(difference)) as ks_distance,
            sum(
                width / 2 * case
                    when bin_kind <> 'range' then 0
                    -- two triangles where the sign changes inside the bin
                    when before * difference < 0
                        then (before * before + difference * difference) / (abs(before) + abs(difference))
                    else abs(before) + abs(difference)
                end
                + gap * abs(before)
            )
            / nullif(sqrt(sum(reference_share * (pow(middle - reference_mean, 2) + width * width / 12))), 0)
                as wasserstein_distance
        from steps
        group by feature
    )

    select
        d.feature,
        d.current_count,
        d.reference_count,
        d.psi,
        d.kl_divergence,
        d.js_distance,
        d.hellinger_distance,
        d.total_variation_distance,
        t.ks_distance,
        t.wasserstein_distance,
        s.missing_rate_change,
        s.below_range_change,
        s.above_range_change,
        s.unseen_change
    from divergences as d
    inner join shares as s on d.feature = s.feature
    left join distances as t on d.feature = t.feature
    order by d.psi desc;
