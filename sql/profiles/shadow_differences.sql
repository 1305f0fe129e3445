-- Rows of shadow_differences: differences of paired scores in bins of two per cent relative width.
-- grain: dt, model_id, model_version, deployment, production_version, bin_id
-- inputs: shadow_pairs
-- nulls: pairs that lack a score have no difference
with binned as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        production_version,
        case
            when abs(difference) < 1e-6 then 0
            else sign(difference) * (1 + floor(ln(abs(difference) / 1e-6) / ln(1.02)))
        end::integer as bin_id
    from shadow_pairs
    where difference is not null
)

select
    dt,
    model_id,
    model_version,
    deployment,
    production_version,
    bin_id,
    sign(bin_id) * 1e-6 * pow(1.02, abs(bin_id) - 0.5) as difference,
    count(*) as row_count
from binned
group by dt, model_id, model_version, deployment, production_version, bin_id
order by dt, model_id, model_version, deployment, production_version, bin_id;
