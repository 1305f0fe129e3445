-- Rows that cannot be sums of SHAP values, per file.
-- grain: file_id; files without such rows have none
-- inputs: explanations
-- nulls: a row that lacks a sum or a count cannot be a sum either
select
    file_id,
    count(*) as row_count
from explanations
where
    not coalesce(
        row_count >= 1
        and isfinite(absolute_sum)
        -- tolerance, because sums in another order differ in their last digits
        and abs(signed_sum) <= absolute_sum * (1 + 1e-9)
        and feature is not null,
        false
    )
group by file_id
order by file_id;
