-- Key of a prediction: repeated deliveries have the same key. Null without a correlation id, because such a prediction cannot be
-- recognised as a repetition. With 64 bits and 10 million rows a day, two different predictions collide once in 370,000 days, which
-- loses one row.
create or replace temp macro prediction_key(dt, version_id, correlation_id) as
    if(correlation_id is null, null, xor(hash(correlation_id), hash(dt, version_id)));
