-- Whether a label says something about a prediction: it has an id and a value that counts.
create or replace temp macro is_valid_label(correlation_id, label) as
    coalesce(correlation_id is not null and label in (0, 1), false);
