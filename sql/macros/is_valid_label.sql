-- Whether a label can be used: it has an id, and a value that some version in `versions` counts.
create or replace temp macro is_valid_label(correlation_id, label, label_class) as
    coalesce(
        correlation_id is not null
        and (
            (
                label in (0, 1)
                and (select bool_or(v.task = 'binary' and v.positive_label is null) from versions as v)
            )
            or (isfinite(label) and (select bool_or(v.task = 'regression') from versions as v))
            or list_contains((select flatten(list(v.classes)) from versions as v), label_class)
            or list_contains(
                (select flatten(list([v.positive_label, v.negative_label])) from versions as v), label_text(label_class)
            )
            or (
                label_text(label_class) is not null
                and (select bool_or(v.positive_label is not null and v.negative_label is null) from versions as v)
            )
        ),
        false
    );
