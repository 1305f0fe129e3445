-- Evidence: features with a larger share of categories that training never had than in the week before.
-- grain: incident_id, subject, known_on
-- inputs: suspects, feature_profile, feature_bins
with shares as (
    select
        s.incident_id,
        s.suspected_on,
        s.first_on,
        p.model_id,
        p.model_version,
        p.feature,
        p.dt,
        coalesce(sum(p.row_count) filter (where b.bin_kind = 'unseen'), 0) / sum(p.row_count) as share
    from suspects as s
    inner join feature_profile as p
        on s.model_id = p.model_id
        and s.model_version = p.model_version
        and s.deployment = p.deployment
        and (s.feature is null or s.feature = p.feature)
        and p.segment = 'all'
        and p.dt between s.first_on - 7 and s.until_on
    inner join feature_bins as b
        on p.model_id = b.model_id
        and p.model_version = b.model_version
        and p.feature = b.feature
        and p.bin_id = b.bin_id
    group by s.incident_id, s.suspected_on, s.first_on, p.model_id, p.model_version, p.feature, p.dt
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
    incident_id,
    feature as subject,
    greatest(dt, suspected_on) as known_on,
    -- a tenth of new categories is a changed vocabulary already
    least(1, 5 * (share - share_before)) as strength,
    share
from usual
where dt >= first_on and share - share_before >= 0.02;
