-- The spans of traces whose prediction began on a day, each once, in the order in which their attributes are looked at.
-- Grain: a span.
-- Inputs: kept_spans, of the day and the days around it.
-- Parameters: $day; $span and $service (null is any) of a prediction.
create or replace temp table placed_spans as
with marked as (
    select
        *,
        name = $span and coalesce(service = $service, $service is null) as is_prediction
    from kept_spans
),

of_day as (
    select trace_id
    from marked
    where is_prediction
    group by trace_id
    having cast(make_timestamp(min(start_ns) // 1000) as date) = $day
),

-- a span that two files have counts once
once as (
    select *
    from marked
    where trace_id in (select trace_id from of_day)
    qualify row_number() over (partition by trace_id, span_id order by end_ns desc nulls last) = 1
)

select
    *,
    -- the first prediction, then whatever began first
    row_number() over (
        partition by trace_id
        order by is_prediction desc, start_ns, span_id
    ) as place
from once
