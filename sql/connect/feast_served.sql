-- Rows of the logs of a feature service, each once: Feast may write a row again after a failure.
-- Grain: an entity of a request.
-- Inputs: logged.
-- Parameters: $latest, the last instant that is not in the future.
create or replace temp table served as
-- grouping narrow rows is much faster than a window over all columns
with chosen as (
    select arg_min(rowid, (import_time, import_file, rowid)) as row_number
    from logged
    where
        import_request is not null
        and import_time <= $latest
    group by
        import_request,
        import_entity
)

select logged.*
from logged
inner join chosen on logged.rowid = chosen.row_number
