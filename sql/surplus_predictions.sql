-- Deletes from prediction_rows all but the earliest of predictions delivered twice: at-least-once delivery is harmless.
-- inputs: prediction_rows, repeated_keys (the key_hash values that occur more than once)
delete from prediction_rows
where rowid in (
    select p.rowid
    from prediction_rows as p
    semi join repeated_keys as r on p.key_hash = r.key_hash
    qualify row_number() over (partition by p.key_hash order by p.event_time, p.file_id, p.file_row_number) > 1
);
