-- Numbers of errors by kind.
-- grain: code, error_kind
-- inputs: counted_calls
select
    code,
    error_kind,
    count(*) as row_count
from counted_calls
where error_kind is not null
group by code, error_kind;
