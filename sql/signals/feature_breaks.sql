-- Signal of broken features: the share of the day's rows that are newly missing or in unseen categories, constant, in
-- another unit, or moved in one segment only, each beyond any of the 28 days before. A break lasts until it is less
-- than half as bad.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: feature_stats, feature_profile, feature_bins
with unseen as (
    select
        p.dt,
        p.model_id,
        p.model_version,
        p.deployment,
        p.feature,
        p.row_count
    from feature_profile as p
    inner join feature_bins as b
        on p.model_id = b.model_id
        and p.model_version = b.model_version
        and p.feature = b.feature
        and p.bin_id = b.bin_id
    where p.segment = 'all' and p.bin_id = 2 and b.bin_kind = 'unseen'
),

-- over all versions, because a new version gets the same inputs as the others
days as (
    select
        s.dt,
        s.model_id,
        s.deployment,
        s.segment,
        s.feature,
        arg_max(s.model_version, s.row_count) as model_version,
        sum(s.row_count) as row_count,
        sum(s.missing_count) as missing_count,
        sum(u.row_count) as unseen_count,
        arg_max(s.mean, s.row_count) as mean,
        arg_max(s.standard_deviation, s.row_count) as standard_deviation,
        min(s.minimum) = max(s.maximum) as is_constant,
        bool_or(s.p95 > s.p05) as is_spread,
        arg_max(s.p25, s.row_count) as p25,
        arg_max(s.p50, s.row_count) as p50,
        arg_max(s.p75, s.row_count) as p75
    from feature_stats as s
    left join unseen as u
        on s.segment = 'all'
        and s.dt = u.dt
        and s.model_id = u.model_id
        and s.model_version = u.model_version
        and s.deployment = u.deployment
        and s.feature = u.feature
    where s.row_count > 0
    group by s.dt, s.model_id, s.deployment, s.segment, s.feature
),

compared as (
    select
        *,
        missing_count / row_count as missing_share,
        coalesce(unseen_count, 0) / row_count as unseen_share,
        1 - missing_count / row_count as present_share,
        row_count / max(row_count) over (partition by dt, model_id, deployment, feature) as row_share,
        count(*) over before as days_before,
        max(missing_count / row_count) over before as missing_before,
        max(coalesce(unseen_count, 0) / row_count) over before as unseen_before,
        bool_and(is_spread) over before as was_spread,
        median(mean) over before as mean_before,
        min(mean) over before as lowest_mean,
        max(mean) over before as highest_mean,
        median(standard_deviation) over before as deviation_before,
        median(p50) over before as p50_before,
        median(p75 - p25) over before as width_before,
        min(p25) over before as lowest_p25,
        max(p75) over before as highest_p75
    from days
    window before as (
        partition by model_id, deployment, segment, feature
        order by dt - date '2000-01-01' range between 28 preceding and 1 preceding
    )
),

multiples as (
    select
        *,
        mean / nullif(mean_before, 0) as mean_factor,
        standard_deviation / nullif(deviation_before, 0) as factor,
        -- the daily mean of some features always varies by large factors
        if(
            lowest_mean * highest_mean > 0,
            greatest(abs(ln(lowest_mean / mean_before)), abs(ln(highest_mean / mean_before))),
            99
        ) as usual_change,
        -- at most a quarter of the values is where three quarters were, and the median moved by more than the quartile range
        (p25 > highest_p75 or p75 < lowest_p25) and abs(p50 - p50_before) > width_before as has_moved
    from compared
    where days_before >= 7
),

-- a move of all rows is not a break of a segment
moves as (
    select
        *,
        count(*) filter (where has_moved and segment <> 'all') over of_day as moved_count,
        count(*) filter (where segment <> 'all') over of_day as segment_count,
        coalesce(bool_or(has_moved and segment = 'all') over lately, false) as has_all_moved
    from multiples
    window
        of_day as (partition by dt, model_id, deployment, feature),
        lately as (
            partition by model_id, deployment, feature
            order by dt - date '2000-01-01' range between 28 preceding and current row
        )
),

-- the level of a day, the usual level, and whether the day is beyond it
levels as (
    select
        dt,
        model_id,
        deployment,
        segment,
        feature,
        model_version,
        row_count,
        'missing' as fault,
        missing_share as level,
        missing_before as usual,
        -- three times the odds and more than chance, because some feeds always have gaps
        missing_share * (1 - missing_before) > 3 * missing_before * (1 - missing_share)
        and missing_share - missing_before > 0.02 + 4 * sqrt(greatest(missing_before, 1 / row_count) / row_count) as is_broken,
        missing_share - missing_before as share
    from multiples
    where segment = 'all'
    union all
    select
        dt,
        model_id,
        deployment,
        segment,
        feature,
        model_version,
        row_count,
        'unseen' as fault,
        unseen_share as level,
        unseen_before as usual,
        unseen_share * (1 - unseen_before) > 3 * unseen_before * (1 - unseen_share)
        and unseen_share - unseen_before > 0.02 + 4 * sqrt(greatest(unseen_before, 1 / row_count) / row_count) as is_broken,
        unseen_share - unseen_before as share
    from multiples
    where segment = 'all'
    union all
    select
        dt,
        model_id,
        deployment,
        segment,
        feature,
        model_version,
        row_count,
        'constant' as fault,
        is_constant::integer as level,
        0 as usual,
        is_constant and was_spread and row_count >= 20 as is_broken,
        present_share as share
    from multiples
    where segment = 'all' and mean is not null
    union all
    select
        dt,
        model_id,
        deployment,
        segment,
        feature,
        model_version,
        row_count,
        'unit' as fault,
        ln(mean_factor) + ln(abs(mean_before)) as level,
        ln(abs(mean_before)) as usual,
        abs(ln(factor)) > greatest(ln(1.5), 2 * usual_change)
        -- about the same multiple; the tolerance grows with the multiple
        and abs(ln(mean_factor / factor)) < greatest(ln(1.1), abs(ln(factor)) / 5) as is_broken,
        present_share as share
    from multiples
    where segment = 'all' and mean_factor > 0 and factor > 0 and row_count >= 20
    union all
    select
        dt,
        model_id,
        deployment,
        segment,
        feature,
        model_version,
        row_count,
        'moved' as fault,
        p50 as level,
        p50_before as usual,
        has_moved and moved_count <= segment_count / 4 and not has_all_moved and row_count >= 20 as is_broken,
        row_share as share
    from moves
    where segment <> 'all' and p50 is not null
),

-- a unit or segment that returns to its former values is repaired, however long the break lasted
onsets as (
    select
        *,
        is_broken and coalesce(
            abs(level - lag(usual) over broken_before)
            > abs(lag(level) over broken_before - lag(usual) over broken_before) / 2,
            true
        ) as is_onset
    from levels
    window broken_before as (partition by model_id, deployment, segment, feature, fault, is_broken order by dt)
),

spells as (
    select
        *,
        count(*) filter (where is_onset) over so_far as spell
    from onsets
    window so_far as (partition by model_id, deployment, segment, feature, fault order by dt)
),

-- 1 if as bad as on the day on which it broke, 0 if as usual before
lasting as (
    select
        *,
        (level - first(usual) over spell_so_far)
        / nullif(first(level) over spell_so_far - first(usual) over spell_so_far, 0) as remains,
        first(usual) over spell_so_far as usual_then
    from spells
    where spell > 0
    window spell_so_far as (
        partition by model_id, deployment, segment, feature, fault, spell order by dt
    )
),

broken as (
    select
        *,
        if(fault in ('missing', 'unseen'), level - usual_then, share) as broken_share
    from lasting
    qualify min(remains) over (
        partition by model_id, deployment, segment, feature, fault, spell order by dt
    ) >= 0.5
),

worst as (
    select
        dt,
        model_id,
        arg_max(model_version, broken_share) as model_version,
        deployment,
        feature,
        max(broken_share) as value,
        arg_max(fault, broken_share) as fault,
        arg_max(segment, broken_share) as part,
        arg_max(level, broken_share) as level,
        arg_max(usual_then, broken_share) as usual,
        max(row_count) as sample_count
    from broken
    group by dt, model_id, deployment, feature
)

select
    dt,
    'feature_breaks.share' as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    feature,
    1 as window_days,
    null as reference,
    value,
    sample_count,
    null as noise_floor,
    format(
        case fault
            when 'missing' then '{0} of {1} {2} ({3}): {4:.0f}% of the rows are missing, at most {5:.0f}% on any of the 28 days before'
            when 'unseen' then
                '{0} of {1} {2} ({3}): {4:.0f}% of the rows are in categories that training never had, at most {5:.0f}% on any of the 28 days before'
            when 'constant' then '{0} of {1} {2} ({3}) has one value alone, and had several on each of the 28 days before'
            when 'unit' then '{0} of {1} {2} ({3}) is {6:.3g} times its usual values, in mean and spread'
            else '{0} of {1} {2} ({3}) has moved in {7} alone: a quarter of the values overlaps the middle half of the 28 days before'
        end,
        feature,
        model_id,
        model_version,
        deployment,
        100 * level,
        100 * usual,
        exp(level - usual),
        part
    ) as detail
from worst;
