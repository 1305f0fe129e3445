-- Rows of logs or predictions that cannot be used.
-- Grain: a file that has such rows, and a reason.
-- Inputs: incoming, with the file, id of the request and time of each row.
-- Parameters: $latest, the last instant that is not in the future.
with judged as (
    select
        import_file,
        case
            when import_request is null then 'a row has no id of a request'
            when import_time is null then 'a row has no time'
            when import_time > $latest then 'a time is in the future; the clock of the writer is wrong'
        end as reason
    from incoming
)

select
    import_file,
    reason,
    count(*) as row_count
from judged
where reason is not null
group by
    import_file,
    reason
order by
    import_file,
    reason
