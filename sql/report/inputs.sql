-- Files and contract checks of a day, per source.
-- grain: source
-- inputs: current_input_files, contract_checks
-- parameters: $day
with files as (
    select
        source,
        count(*) as file_count,
        count(*) filter (where outcome = 'refused') as refused_count,
        coalesce(sum(row_count) filter (where outcome = 'read'), 0)::bigint as row_count,
        sum(size_bytes)::bigint as size_bytes
    from current_input_files
    where dt = $day
    group by source
),

checks as (
    select
        source,
        count(*) as check_count,
        count(*) filter (where outcome = 'failed') as failed_count
    from contract_checks
    where dt = $day
    group by source
)

select
    s.source,
    coalesce(f.file_count, 0) as file_count,
    coalesce(f.refused_count, 0) as refused_count,
    coalesce(f.row_count, 0) as row_count,
    coalesce(f.size_bytes, 0) as size_bytes,
    coalesce(c.check_count, 0) as check_count,
    coalesce(c.failed_count, 0) as failed_count
from (values ('telemetry'), ('labels')) as s (source)
left join files as f on s.source = f.source
left join checks as c on s.source = c.source
order by s.source desc;
