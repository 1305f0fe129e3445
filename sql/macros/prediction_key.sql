-- What makes a prediction the same one delivered twice; null without a correlation id, which repeats nothing.
-- 64 bits: of 10 million rows a day two different predictions meet once in 370,000 days, and cost one row.
create or replace temp macro prediction_key(dt, version_id, correlation_id) as
    if(correlation_id is null, null, xor(hash(correlation_id), hash(dt, version_id)));
