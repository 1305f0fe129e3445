-- The rows of a dataset whose numbers have the smallest hashes: a reproducible sample.
-- grain: row_number
-- parameters: $row_count, $sample_rows
with hashed as (
    select
        r.row_number,
        md5_number_lower(r.row_number::varchar) as row_hash
    from range($row_count::bigint) as r(row_number)
)

select
    row_number,
    row_hash
from hashed
order by row_hash, row_number
limit $sample_rows;
