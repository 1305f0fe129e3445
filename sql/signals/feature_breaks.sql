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
        arg_max(s.p05, s.row_count) as p05,
        arg_max(s.p25, s.row_count) as p25,
        arg_max(s.p50, s.row_count) as p50,
        arg_max(s.p75, s.row_count) as p75,
        arg_max(s.p95, s.row_count) as p95
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
        median(p05) over before as p05_before,
        median(p95) over before as p95_before,
        -- logarithm of the smallest factor that moves the values out of their former range: the mean passes 95 % of the values, and the
        -- first quartile the third
        greatest(
            median(ln(nullif(greatest(abs(p05), abs(p95)), 0) / nullif(abs(mean), 0))) over before,
            median(if(p25 * p75 > 0, abs(ln(p75 / p25)), 0)) over before
        ) as leaving_change,
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
        -- a temperature in another unit: the mean is beyond 95 % of the values, and as near to the converted mean as days are to each other
        abs(mean - mean_before)
        > greatest(p95_before - mean_before, mean_before - p05_before, 2 * (highest_mean - lowest_mean)) as is_beyond,
        list_filter(
            [
                {'name': 'Celsius has become Fahrenheit', 'multiple': 1.8, 'addend': 32.0},
                {'name': 'Fahrenheit has become Celsius', 'multiple': 1 / 1.8, 'addend': -32 / 1.8},
                {'name': 'Celsius has become kelvin', 'multiple': 1.0, 'addend': 273.15},
                {'name': 'kelvin has become Celsius', 'multiple': 1.0, 'addend': -273.15}
            ],
            lambda unit: abs(factor / unit['multiple'] - 1) < 0.1
            and abs(mean - mean_before * unit['multiple'] - unit['addend']) < unit['multiple'] * (highest_mean - lowest_mean)
        )[1]['name'] as conversion,
        -- at most a quarter of the values lies where three quarters lay, and the median moved by more than the quartile range
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
        m.dt,
        m.model_id,
        m.deployment,
        m.segment,
        m.feature,
        m.model_version,
        m.row_count,
        m.conversion,
        unnest(
            if(
                m.segment = 'all',
                [
                    {
                        'fault': 'missing',
                        'level': m.missing_share,
                        'usual': m.missing_before,
                        -- three times the odds and more than chance, because some feeds always have gaps
                        'is_broken': m.missing_share * (1 - m.missing_before) > 3 * m.missing_before * (1 - m.missing_share)
                        and m.missing_share - m.missing_before
                        > 0.02 + 4 * sqrt(greatest(m.missing_before, 1 / m.row_count) / m.row_count),
                        'share': m.missing_share - m.missing_before
                    },
                    {
                        'fault': 'unseen',
                        'level': m.unseen_share,
                        'usual': m.unseen_before,
                        'is_broken': m.unseen_share * (1 - m.unseen_before) > 3 * m.unseen_before * (1 - m.unseen_share)
                        and m.unseen_share - m.unseen_before
                        > 0.02 + 4 * sqrt(greatest(m.unseen_before, 1 / m.row_count) / m.row_count),
                        'share': m.unseen_share - m.unseen_before
                    },
                    {
                        'fault': 'constant',
                        'level': if(m.mean is null, null, m.is_constant::double),
                        'usual': 0,
                        'is_broken': m.is_constant and m.was_spread and m.row_count >= 20,
                        'share': m.present_share
                    },
                    {
                        'fault': 'unit',
                        'level': if(m.mean_factor > 0 and m.factor > 0 and m.row_count >= 20, ln(abs(m.mean)), null),
                        'usual': if(m.mean_factor > 0, ln(abs(m.mean_before)), null),
                        'is_broken': if(
                            m.mean_factor > 0 and m.factor > 0,
                            abs(ln(m.mean_factor)) > greatest(ln(1.5), 2 * m.usual_change, 1.2 * m.leaving_change)
                            -- about the same multiple; the tolerance grows with the multiple
                            and abs(ln(m.mean_factor / m.factor)) < greatest(ln(1.1), abs(ln(m.factor)) / 5),
                            false
                        ),
                        'share': m.present_share
                    },
                    {
                        'fault': 'converted',
                        'level': if(m.row_count >= 20, m.mean, null),
                        'usual': m.mean_before,
                        'is_broken': m.is_beyond and m.conversion is not null,
                        'share': m.present_share
                    }
                ],
                [
                    {
                        'fault': 'moved',
                        'level': m.p50,
                        'usual': m.p50_before,
                        'is_broken': m.has_moved
                        and m.moved_count <= m.segment_count / 4
                        and not m.has_all_moved
                        and m.row_count >= 20,
                        'share': m.row_share
                    }
                ]
            )
        ) as of_fault
    from moves as m
),

judged as (
    select
        * exclude (of_fault),
        of_fault['fault'] as fault,
        of_fault['level'] as level,
        of_fault['usual'] as usual,
        of_fault['is_broken'] as is_broken,
        of_fault['share'] as share
    from levels
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
    from judged
    where level is not null
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
        first(usual) over spell_so_far as usual_then,
        if(fault = 'converted', first(conversion) over spell_so_far, segment) as part
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
        arg_max(part, broken_share) as part,
        arg_max(level, broken_share) as level,
        arg_max(usual_then, broken_share) as usual,
        max(row_count)::bigint as sample_count
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
    null::varchar as reference,
    value,
    sample_count,
    null::double as noise_floor,
    format(
        case fault
            when 'missing' then '{0} of {1} {2} ({3}): {4:.0f}% of the rows are missing, at most {5:.0f}% on any of the 28 days before'
            when 'unseen' then
                '{0} of {1} {2} ({3}): {4:.0f}% of the rows are in categories that training never had, at most {5:.0f}% on any of the 28 days before'
            when 'constant' then '{0} of {1} {2} ({3}) has only one value, and had several on each of the 28 days before'
            when 'unit' then '{0} of {1} {2} ({3}) is {6:.3g} times its usual values, in mean and spread'
            when 'converted' then '{0} of {1} {2} ({3}) has the mean and spread that it would have if {7}'
            else '{0} of {1} {2} ({3}) has moved in {7} only: at most a quarter of its values are where three quarters were on each of the 28 days before'
        end,
        feature,
        model_id,
        model_version,
        deployment,
        100 * level,
        100 * usual,
        if(fault = 'unit', exp(level - usual), 1),
        part
    ) as detail
from worst;
