-- View service_calls: the predictions that count, with their hour.
-- grain: a prediction of a registered version, once, in the sample of its model
-- inputs: predictions, prediction_groups, duplicate_rows
-- nulls: the hour is null for a time that cannot be of the day in any time zone, so that broken clocks do not create many hours
create or replace view service_calls as
select
    p.* exclude (gpu_utilization),
    g.code,
    if(isfinite(p.gpu_utilization), p.gpu_utilization, null) as gpu_utilization,
    if(
        p.event_time between p.dt - interval 1 day and p.dt + interval 2 days,
        date_trunc('hour', p.event_time),
        null
    ) as hour_at
from predictions as p
inner join prediction_groups as g
    on p.dt = g.dt
    and p.model_id = g.model_id
    and p.model_version = g.model_version
    and coalesce(p.deployment, 'production') = g.deployment
anti join duplicate_rows as s on p.file_id = s.file_id and p.file_row_number = s.file_row_number
where is_in_sample(p.correlation_id, g.sampling_rate);
