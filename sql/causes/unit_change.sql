-- Evidence: features whose mean and standard deviation are both about the same multiple of what they were in the week before.
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
        and f.dt between s.first_on - 7 and s.until_on
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
        standard_deviation / nullif(deviation_before, 0) as factor
    from usual
    where dt >= first_on
)

select
    incident_id,
    feature as subject,
    greatest(dt, suspected_on) as known_on,
    1 - abs(ln(mean_factor / factor)) as strength,
    factor
from multiples
where
    mean_factor > 0
    and factor > 0
    and abs(ln(factor)) > ln(1.5)
    -- about the same multiple: a quarter apart at most
    and abs(ln(mean_factor / factor)) < ln(1.25);
