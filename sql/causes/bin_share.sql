-- Evidence: features with a larger share of missing or unseen values than in training and on any of the 28 days before.
-- grain: cause, incident_id, subject, known_on
-- inputs: incident_alerts, feature_profile, feature_bins, reference_profile
with bins as (
    select
        k.cause,
        b.model_id,
        b.model_version,
        b.feature,
        b.bin_id,
        b.bin_kind = k.bin_kind as is_counted
    from feature_bins as b
    cross join (values ('missing_values', 'missing'), ('unseen_categories', 'unseen')) as k (cause, bin_kind)
),

shares as (
    select
        b.cause,
        p.dt,
        p.model_id,
        p.model_version,
        p.deployment,
        p.feature,
        coalesce(sum(p.row_count) filter (where b.is_counted), 0) / sum(p.row_count) as share
    from feature_profile as p
    inner join bins as b
        on p.model_id = b.model_id
        and p.model_version = b.model_version
        and p.feature = b.feature
        and p.bin_id = b.bin_id
    where
        p.segment = 'all'
        and p.dt between (select min(s.first_on) - 28 from incident_alerts as s)
        and (select max(s.until_on) from incident_alerts as s)
    group by b.cause, p.dt, p.model_id, p.model_version, p.deployment, p.feature
),

training as (
    select
        b.cause,
        p.model_id,
        p.model_version,
        p.feature,
        coalesce(sum(p.row_count) filter (where b.is_counted), 0) / sum(p.row_count) as share
    from reference_profile as p
    inner join bins as b
        on p.model_id = b.model_id
        and p.model_version = b.model_version
        and p.feature = b.feature
        and p.bin_id = b.bin_id
    group by b.cause, p.model_id, p.model_version, p.feature
),

-- over all versions, because a new version gets the same inputs as the others
usual as (
    select
        s.incident_id,
        h.cause,
        h.model_id,
        h.feature,
        max(h.share) as share,
        count(distinct h.dt) as day_count
    from (
        select
            incident_id,
            model_id,
            min(first_on) as first_on
        from incident_alerts
        group by incident_id, model_id
    ) as s
    inner join shares as h on s.model_id = h.model_id and h.dt between s.first_on - 28 and s.first_on - 1
    group by s.incident_id, h.cause, h.model_id, h.feature
),

compared as (
    select distinct
        s.incident_id,
        h.cause,
        greatest(h.dt, s.opened_on) as known_on,
        h.feature,
        h.share,
        greatest(u.share, t.share, 0) as share_before,
        u.day_count
    from incident_alerts as s
    inner join shares as h
        on s.model_id = h.model_id
        and s.model_version = h.model_version
        and s.deployment = h.deployment
        and (s.feature is null or s.feature = h.feature)
        and h.dt between s.first_on and s.until_on
    left join training as t
        on h.cause = t.cause and h.model_id = t.model_id and h.model_version = t.model_version and h.feature = t.feature
    left join usual as u
        on s.incident_id = u.incident_id and h.cause = u.cause and h.model_id = u.model_id and h.feature = u.feature
)

select
    incident_id,
    cause,
    feature as subject,
    known_on,
    -- an increase by a fifth of the rows is nearly as strong as an increase to all rows
    0.9 * least(1, 5 * (share - share_before)) + 0.1 * (share - share_before) as strength,
    share,
    share_before
from compared
where
    share - share_before >= 0.02
    -- three times the odds, because some feeds always have gaps, whose size is unknown in the first days
    and share * (1 - share_before) > 3 * share_before * (1 - share)
    and coalesce(day_count, 0) >= 7;
