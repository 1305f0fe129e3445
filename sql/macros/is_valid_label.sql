-- Whether a label says something about a prediction: it has an id, and a value that some version in `versions` counts.
create or replace temp macro is_valid_label(correlation_id, label) as
    coalesce(
        correlation_id is not null
        and (label in (0, 1) or (isfinite(label) and (select bool_or(v.task = 'regression') from versions as v))),
        false
    );
