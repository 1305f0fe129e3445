-- Which values did every signal have that an alert rule can watch, day by day? Larger is worse; days without a value are left out.
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
-- all of sql/signals/, whose columns are these in this order
from signals;
