-- Which days have predictions whose traces have spans in the files that were just imported.
-- Grain: the day of the first prediction span of a trace, in UTC; null for traces without a prediction span.
-- Inputs: kept_spans (spans of these files' days and the days around them), new_spans (spans of these files).
-- Parameters: $span and $service (null is any) of a prediction.
with new_traces as (
    select distinct trace_id
    from new_spans
),

predictions as (
    select
        trace_id,
        min(start_ns) as start_ns
    from kept_spans
    where name = $span and coalesce(service = $service, $service is null)
    group by trace_id
)

select
    cast(make_timestamp(predictions.start_ns // 1000) as date) as dt,
    count(*) as trace_count
from new_traces
left join predictions on new_traces.trace_id = predictions.trace_id
group by dt
order by dt
