-- Evidence: features whose mean and standard deviation are both about the same multiple of what they were in the four weeks before, so
-- large a one that the values have left where they were.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, feature_stats, reference_stats
with days as (
    -- over all versions, because a new version gets the same inputs as the others
    select
        i.incident_id,
        f.model_id,
        f.feature,
        f.dt,
        median(f.mean) as mean,
        median(f.standard_deviation) as standard_deviation,
        -- their mean comes beyond 95 % of them, and a quarter of them where three quarters were
        median(
            greatest(
                ln(nullif(greatest(abs(f.p05), abs(f.p95)), 0) / nullif(abs(f.mean), 0)),
                if(f.p25 * f.p75 > 0, abs(ln(f.p75 / f.p25)), 0)
            )
        ) as leaving_change
    from (
        select distinct
            incident_id,
            model_id,
            first_on
        from incident_alerts
    ) as i
    inner join feature_stats as f
        on i.model_id = f.model_id and f.segment = 'all' and f.dt between i.first_on - 28 and i.first_on - 1
    group by i.incident_id, f.model_id, f.feature, f.dt
),

medians as (
    select
        *,
        median(mean) over feature_of as mean_before,
        median(standard_deviation) over feature_of as deviation_before
    from days
    window feature_of as (partition by incident_id, model_id, feature)
),

usual as (
    select
        incident_id,
        model_id,
        feature,
        any_value(mean_before) as mean_before,
        any_value(deviation_before) as deviation_before,
        -- the daily mean of some features always varies by large factors
        max(if(mean * mean_before > 0, abs(ln(mean / mean_before)), 99)) as usual_change,
        median(leaving_change) as leaving_change,
        count(*) as day_count
    from medians
    group by incident_id, model_id, feature
),

multiples as (
    select distinct
        s.incident_id,
        greatest(f.dt, s.opened_on) as known_on,
        f.feature,
        f.mean / nullif(coalesce(u.mean_before, r.mean), 0) as mean_factor,
        f.standard_deviation / nullif(coalesce(u.deviation_before, r.standard_deviation), 0) as deviation_factor,
        -- of the two, the one of the smaller standard error, for about normal values
        if(f.standard_deviation < abs(f.mean) / sqrt(2), mean_factor, deviation_factor) as factor,
        coalesce(u.usual_change, 0) as usual_change,
        coalesce(
            u.leaving_change,
            ln(nullif(greatest(abs(r.p05), abs(r.p95)), 0) / nullif(abs(r.mean), 0)),
            0
        ) as leaving_change,
        coalesce(u.day_count, 0) as day_count
    from incident_alerts as s
    inner join feature_stats as f
        on s.model_id = f.model_id
        and s.model_version = f.model_version
        and s.deployment = f.deployment
        and (s.feature is null or s.feature = f.feature)
        and f.segment = 'all'
        and f.dt between s.first_on and s.until_on
    left join usual as u
        on s.incident_id = u.incident_id and f.model_id = u.model_id and f.feature = u.feature
    left join reference_stats as r
        on f.model_id = r.model_id and f.model_version = r.model_version and f.feature = r.feature
)

select
    incident_id,
    feature as subject,
    known_on,
    1 - least(0.1, abs(ln(mean_factor / deviation_factor))) as strength,
    factor
from multiples
where
    mean_factor > 0
    and deviation_factor > 0
    -- the day-to-day variation of a new feature is unknown
    and abs(ln(mean_factor)) > greatest(1.2 * leaving_change, if(day_count < 3, ln(3), greatest(ln(1.5), 2 * usual_change)))
    -- about the same multiple; the tolerance grows with the multiple
    and abs(ln(mean_factor / deviation_factor))
    < greatest(ln(1.1), if(day_count < 7, 0, abs(ln(deviation_factor)) / 5));
