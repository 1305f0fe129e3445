-- What was the value of every signal that an alert rule can watch, day by day? Larger is worse; days without a value are left out.
create or replace view sli_history as
select
    dt,
    signal,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    window_days,
    reference,
    value,
    sample_count,
    noise_floor,
    detail
-- the union of all files of sql/signals/, which have these columns in this order
from signals;
