-- Which values have at least 1 % of a day's predictions and were not among the most frequent on any of the 28 days before? A column's first day has none.
create or replace view new_heavy_hitters as
with seen as (
    select
        *,
        lag(dt) over (
            partition by model_id, model_version, deployment, segment, column_name, value
            order by dt
        ) as last_seen_on,
        min(dt) over (partition by model_id, model_version, deployment, segment, column_name) as first_counted_on
    from heavy_hitters
)

select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    column_name,
    value,
    row_count,
    share,
    rank,
    last_seen_on
from seen
where
    share >= 0.01
    and dt > first_counted_on
    and (last_seen_on is null or last_seen_on < dt - 28)
order by dt desc, share desc;
