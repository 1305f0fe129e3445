-- Time of the last prediction of each day, and the hours from it to the end of the day.
-- grain: dt
-- inputs: predictions, partition_days
-- nulls: predictions without a time are ignored
select
    p.dt,
    count(*) as row_count,
    strftime(make_timestamp(max(epoch_us(p.event_time))), '%Y-%m-%d %H:%M UTC') as last_at,
    (any_value(d.evening_us) - max(epoch_us(p.event_time))) / 3.6e9 as quiet_hours
from predictions as p
inner join partition_days as d on p.dt = d.dt
where isfinite(p.event_time)
group by p.dt
order by p.dt;
