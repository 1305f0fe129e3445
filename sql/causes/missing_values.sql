-- Evidence: features of which a larger share is missing than in the week before; in training, if there was no such week.
-- grain: incident_id, subject, known_on
-- inputs: suspects, feature_stats, reference_stats
with shares as (
    select
        s.incident_id,
        s.suspected_on,
        s.first_on,
        f.model_id,
        f.model_version,
        f.feature,
        f.dt,
        sum(f.missing_count) / sum(f.row_count) as share
    from suspects as s
    inner join feature_stats as f
        on s.model_id = f.model_id
        and s.model_version = f.model_version
        and s.deployment = f.deployment
        and (s.feature is null or s.feature = f.feature)
        and f.segment = 'all'
        and f.dt between s.first_on - 7 and s.until_on
    group by all
),

usual as (
    select
        *,
        coalesce(
            max(share) filter (where dt < first_on) over (
                partition by incident_id, model_id, model_version, feature, suspected_on
            ),
            0
        ) as share_before
    from shares
)

select
    u.incident_id,
    u.feature as subject,
    greatest(u.dt, u.suspected_on) as known_on,
    u.share - greatest(u.share_before, coalesce(r.missing_count / nullif(r.row_count, 0), 0)) as strength,
    u.share,
    greatest(u.share_before, coalesce(r.missing_count / nullif(r.row_count, 0), 0)) as share_before
from usual as u
left join reference_stats as r
    on u.model_id = r.model_id and u.model_version = r.model_version and u.feature = r.feature
where u.dt >= u.first_on and strength >= 0.05;
