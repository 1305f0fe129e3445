-- The predictions that were made on a day and the spans of their traces, each once, in the order in which their attributes are looked at.
-- Grain: a prediction, and a span or an event. Predictions that are events may share a trace.
-- Inputs: stored_spans, of the day and the days around it; id is that of the prediction, or the trace id of a span.
-- Parameters: $day; $is_event, $name (null is any) and $service (null is any) of a prediction.
create or replace temp table placed_spans as
with marked as (
    select
        * replace (coalesce(is_event, false) as is_event),
        coalesce(is_event, false) = $is_event
        and coalesce(name = $name, $name is null)
        and coalesce(service = $service, $service is null) as is_prediction
    from stored_spans
),

of_day as (
    select
        id,
        trace_id
    from marked
    where is_prediction
    qualify
        row_number() over (partition by id order by start_ns, trace_id, span_id) = 1
        and cast(make_timestamp(start_ns // 1000) as date) = $day
),

-- a span that two files have counts once
spans as (
    select *
    from marked
    where not is_event and trace_id in (select trace_id from of_day)
    qualify row_number() over (partition by trace_id, span_id order by end_ns desc nulls last) = 1
),

events as (
    select distinct
        *,
        hash(marked) as tie
    from marked
    where is_event and is_prediction and id in (select id from of_day)
),

entries as (
    select spans.* replace (of_day.id as id)
    from of_day
    inner join spans on of_day.trace_id = spans.trace_id
    union all by name
    select *
    from events
)

select
    *,
    parent_id is null and not is_event as is_root,
    -- the first prediction, then whatever began first
    row_number() over (
        partition by id
        order by is_prediction desc, start_ns, span_id, tie
    ) as place
from entries
