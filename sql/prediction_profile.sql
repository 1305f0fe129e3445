-- Rows of prediction_profile: counts and score sums per score bin.
-- grain: dt, model_id, model_version, deployment, segment, bin_id
-- inputs: prediction_rows, prediction_groups
-- nulls: a missing score counts in bin 0 and adds nothing to the sum
with counted as (
    select
        code,
        bin_id,
        count(*) as row_count,
        -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same;
        -- 13 digits before the point leave the sum room for ten billion rows, larger scores add nothing
        coalesce(sum(try_cast(score as decimal(28, 15))) filter (where isfinite(score)), 0)::double as score_sum
    from prediction_rows
    group by code, bin_id
)

select
    g.dt,
    g.model_id,
    g.model_version,
    g.deployment,
    'all' as segment,
    c.bin_id,
    c.row_count,
    c.score_sum
from counted as c
inner join prediction_groups as g on c.code = g.code
order by c.code, c.bin_id;
