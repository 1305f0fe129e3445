-- Pairs of scores by the bins of both, as sums that can be added to those of other pairs exactly.
-- grain: dt, model_id, model_version, deployment, production_version, bin_id, production_bin_id
-- inputs: shadow_pairs
-- nulls: pairs that lack a score count in bin 0 and are in no sum; counts at a cut are null without one
select
    dt,
    model_id,
    model_version,
    deployment,
    production_version,
    bin_id,
    production_bin_id,
    count(*) as row_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same;
    -- with 13 digits before the point, ten billion rows fit into the sum; larger differences add nothing
    sum(try_cast(difference as decimal(28, 15))) as difference_sum,
    sum(try_cast(pow(difference, 2) as decimal(28, 15))) as squared_difference_sum,
    if(bool_and(has_cut), count(*) filter (where is_at_cut and is_production_at_cut), null) as both_at_cut_count,
    if(bool_and(has_cut), count(*) filter (where is_at_cut and not is_production_at_cut), null)
        as candidate_at_cut_count,
    if(bool_and(has_cut), count(*) filter (where is_production_at_cut and not is_at_cut), null)
        as production_at_cut_count
from shadow_pairs
group by dt, model_id, model_version, deployment, production_version, bin_id, production_bin_id;
