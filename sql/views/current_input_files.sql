-- Which files are the input of each day, as of the last run that processed it? The newest version in input_files of every file that was not removed.
create or replace view current_input_files as
select *
from (
    select *
    from input_files
    qualify row_number() over (partition by dt, source, path order by snapshot_id desc nulls last) = 1
) as newest
where outcome <> 'removed';
