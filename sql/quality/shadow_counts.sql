-- Pairs of scores of every window: totals, and the occupied bins of both scores as lists.
-- grain: dt, window_days, model_id, model_version, deployment, production_version
-- inputs: shadow_profile
-- parameters: $first_day, $last_day, $windows_days
with summed as (
    select
        w.dt,
        w.window_days,
        p.model_id,
        p.model_version,
        p.deployment,
        p.production_version,
        p.bin_id,
        p.production_bin_id,
        sum(p.row_count)::bigint as row_count,
        -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
        sum(try_cast(p.difference_sum as decimal(32, 15))) as difference_sum,
        sum(try_cast(p.squared_difference_sum as decimal(32, 15))) as squared_difference_sum,
        sum(p.candidate_at_cut_count + p.production_at_cut_count) as disagreement_count
    from windows_of($first_day, $last_day, $windows_days) as w
    inner join shadow_profile as p on p.dt > w.dt - w.window_days and p.dt <= w.dt
    group by
        w.dt,
        w.window_days,
        p.model_id,
        p.model_version,
        p.deployment,
        p.production_version,
        p.bin_id,
        p.production_bin_id
)

select
    dt,
    window_days,
    model_id,
    model_version,
    deployment,
    production_version,
    list(bin_id order by bin_id, production_bin_id) as bin_ids,
    list(production_bin_id order by bin_id, production_bin_id) as production_bin_ids,
    list(row_count order by bin_id, production_bin_id) as row_counts,
    sum(difference_sum)::double as difference_sum,
    sum(squared_difference_sum)::double as squared_difference_sum,
    -- predictions that lack a score have no decision
    (sum(disagreement_count) filter (where bin_id > 0 and production_bin_id > 0))::bigint as disagreement_count
from summed
group by dt, window_days, model_id, model_version, deployment, production_version
order by dt, window_days, model_id, model_version, deployment, production_version;
