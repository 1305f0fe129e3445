-- Fills prediction_rows: the narrow columns of every prediction, with the code of what it belongs to.
-- grain: a row of telemetry of a registered model version
-- inputs: scored_predictions, prediction_groups
create or replace table prediction_rows as
select
    g.code,
    s.file_id,
    s.file_row_number,
    s.event_time,
    s.score,
    s.latency_ms,
    s.bin_id,
    -- what makes a prediction the same one delivered twice; 64 bits: of 10 million rows a day two different keys meet
    -- once in 370,000 days, and cost one row
    case
        when s.correlation_id is not null then hash(s.dt, s.version_id, s.correlation_id)
    end as key_hash
from scored_predictions as s
inner join prediction_groups as g
    on s.dt = g.dt and s.version_id = g.version_id and s.deployment = g.deployment;
