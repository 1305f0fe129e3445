-- Evidence: features whose mean and standard deviation are both about the same multiple of what they were in the four weeks before.
-- grain: incident_id, subject, known_on
-- inputs: suspects, feature_stats, reference_stats
with moments as (
    select distinct
        s.incident_id,
        s.suspected_on,
        s.first_on,
        f.model_id,
        f.model_version,
        f.deployment,
        f.feature,
        f.dt,
        f.mean,
        f.standard_deviation
    from suspects as s
    inner join feature_stats as f
        on s.model_id = f.model_id
        and s.model_version = f.model_version
        and s.deployment = f.deployment
        and (s.feature is null or s.feature = f.feature)
        and f.segment = 'all'
        and f.dt between s.first_on - 28 and s.until_on
),

usual as (
    select
        m.*,
        coalesce(median(m.mean) filter (where m.dt < m.first_on) over feature_of, r.mean) as mean_before,
        coalesce(median(m.standard_deviation) filter (where m.dt < m.first_on) over feature_of, r.standard_deviation)
            as deviation_before
    from moments as m
    left join reference_stats as r
        on m.model_id = r.model_id and m.model_version = r.model_version and m.feature = r.feature
    window feature_of as (
        partition by m.incident_id, m.model_id, m.model_version, m.deployment, m.feature, m.suspected_on
    )
),

multiples as (
    select
        *,
        mean / nullif(mean_before, 0) as mean_factor,
        standard_deviation / nullif(deviation_before, 0) as factor,
        -- of some features the mean of a day is now this and now that multiple of the usual one
        coalesce(
            max(if(mean * mean_before > 0, abs(ln(mean / mean_before)), 99)) filter (where dt < first_on) over (
                partition by incident_id, model_id, model_version, deployment, feature, suspected_on
            ),
            0
        ) as usual_change,
        count(*) filter (where dt < first_on) over (
            partition by incident_id, model_id, model_version, deployment, feature, suspected_on
        ) as days_before
    from usual
)

select
    incident_id,
    feature as subject,
    greatest(dt, suspected_on) as known_on,
    1 - abs(ln(mean_factor / factor)) as strength,
    factor
from multiples
where
    dt >= first_on
    and mean_factor > 0
    and factor > 0
    -- how much it moves from day to day is not known of a version that is new
    and abs(ln(factor)) > if(days_before < 3, ln(3), greatest(ln(1.5), 2 * usual_change))
    -- about the same multiple: a tenth apart at most
    and abs(ln(mean_factor / factor)) < ln(1.1);
