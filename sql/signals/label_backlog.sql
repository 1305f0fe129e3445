-- Signal of the backlog: the share of predictions whose label is overdue, for versions that still predict. It is the
-- share of all predictions or of those newly due, whichever is further beyond its noise.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: label_backlog
select
    b.dt,
    'label_backlog.overdue_share' as signal,
    b.model_id,
    b.model_version,
    b.deployment,
    b.segment,
    null::varchar as feature,
    1 as window_days,
    null::varchar as reference,
    b.overdue_share as value,
    coalesce(w.sampled_count, w.prediction_count) as sample_count,
    b.noise_share as noise_floor,
    null::varchar as detail
from label_backlog as b
inner join label_backlog as w
    on b.dt = w.dt
    and b.model_id = w.model_id
    and b.model_version = w.model_version
    and b.deployment = w.deployment
    and b.segment = w.segment
    and w.age_bucket = 'all'
where
    b.age_bucket in ('all', 'due')
    and b.overdue_share is not null
    -- some time after a version stopped predicting, only predictions that never get a label are left
    and (b.dt, b.model_id, b.model_version, b.deployment, b.segment) in (
        select (y.dt, y.model_id, y.model_version, y.deployment, y.segment)
        from label_backlog as y
        where y.age_bucket = '0'
    )
qualify row_number() over (
    partition by b.dt, b.model_id, b.model_version, b.deployment, b.segment
    order by b.overdue_share - coalesce(b.noise_share, 0) desc, b.age_bucket
) = 1;
