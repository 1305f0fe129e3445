-- Which days have predictions that are in the files that were just imported, or whose traces have spans in them.
-- Grain: the day of the first prediction of an id, in UTC; null for traces without a prediction.
-- Inputs: stored_spans (spans and events of these files' days and the days around them), new_spans (those of these files);
-- id is that of the prediction, or the trace id of a span.
-- Parameters: $is_event, $name (null is any) and $service (null is any) of a prediction.
with predictions as (
    select
        id,
        trace_id,
        start_ns
    from stored_spans
    where
        coalesce(is_event, false) = $is_event
        and coalesce(name = $name, $name is null)
        and coalesce(service = $service, $service is null)
    qualify row_number() over (partition by id order by start_ns, trace_id, span_id) = 1
),

new_traces as (
    select distinct trace_id
    from new_spans
    where not coalesce(is_event, false)
),

new_events as (
    select distinct id
    from new_spans
    where is_event
),

touched as (
    select predictions.start_ns
    from new_traces
    left join predictions on new_traces.trace_id = predictions.trace_id
    union all
    select predictions.start_ns
    from new_events
    inner join predictions on new_events.id = predictions.id
)

select
    cast(make_timestamp(start_ns // 1000) as date) as dt,
    count(*) as entry_count
from touched
group by dt
order by dt
