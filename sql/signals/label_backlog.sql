-- Signal of the backlog: the share of predictions whose label is overdue, of versions that still predict.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: label_backlog
select
    dt,
    'label_backlog.overdue_share' as signal,
    model_id,
    model_version,
    deployment,
    segment,
    null as feature,
    1 as window_days,
    null as reference,
    overdue_share as value,
    coalesce(sampled_count, prediction_count) as sample_count,
    null as noise_floor,
    null as detail
from label_backlog
where
    age_bucket = 'all'
    and overdue_share is not null
    -- of a version that predicts no more, only what never gets a label is left after a while
    and (dt, model_id, model_version, deployment, segment) in (
        select (y.dt, y.model_id, y.model_version, y.deployment, y.segment)
        from label_backlog as y
        where y.age_bucket = '0'
    );
