-- Fills prediction_rows: the narrow columns of every prediction that counts.
-- grain: a row of telemetry of a registered model version; of duplicates (same day, correlation id and version) only
-- the earliest stays, which makes at-least-once delivery harmless.
-- inputs: scored_predictions
create or replace table prediction_rows as
with keyed as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        file_id,
        file_row_number,
        event_time,
        score,
        latency_ms,
        bin_id,
        -- 64 bits: of 10 million rows a day two different keys meet once in 370,000 days, and cost one row
        case
            when correlation_id is not null then hash(dt, model_id, model_version, correlation_id)
        end as key_hash
    from scored_predictions
),

repeated as (
    select key_hash
    from keyed
    where key_hash is not null
    group by key_hash
    having count(*) > 1
),

-- ranking only the repeated keys keeps the sort small
surplus as (
    select
        k.file_id,
        k.file_row_number
    from keyed as k
    semi join repeated as r on k.key_hash = r.key_hash
    qualify row_number() over (partition by k.key_hash order by k.event_time, k.file_id, k.file_row_number) > 1
)

select k.* exclude (event_time, key_hash)
from keyed as k
anti join surplus as s on k.file_id = s.file_id and k.file_row_number = s.file_row_number;
