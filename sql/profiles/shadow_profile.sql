-- Rows of shadow_profile: pairs of scores by the bins of both.
-- grain: dt, model_id, model_version, deployment, production_version, bin_id, production_bin_id
-- inputs: shadow_sums (rows of sql/profiles/shadow_sums.sql, of any part of the pairs)
-- nulls: pairs that lack a score count in bin 0 and add nothing to the sums
select
    dt,
    model_id,
    model_version,
    deployment,
    production_version,
    bin_id,
    production_bin_id,
    sum(row_count)::bigint as row_count,
    coalesce(sum(difference_sum), 0)::double as difference_sum,
    coalesce(sum(squared_difference_sum), 0)::double as squared_difference_sum,
    sum(both_at_cut_count)::bigint as both_at_cut_count,
    sum(candidate_at_cut_count)::bigint as candidate_at_cut_count,
    sum(production_at_cut_count)::bigint as production_at_cut_count
from shadow_sums
group by dt, model_id, model_version, deployment, production_version, bin_id, production_bin_id
order by dt, model_id, model_version, deployment, production_version, bin_id, production_bin_id;
