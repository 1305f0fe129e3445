-- Rows of service_errors: the most frequent kinds of errors of a version on a day, with all others combined.
-- grain: dt, model_id, model_version, deployment, error_kind
-- inputs: error_counts (rows of sql/profiles/error_counts.sql, of any part of the calls), prediction_groups
-- parameters: $kind_count, number of kinds that are named
with counted as (
    select
        code,
        error_kind,
        sum(row_count) as row_count,
        row_number() over (partition by code order by sum(row_count) desc, error_kind) as place
    from error_counts
    group by code, error_kind
)

select
    g.dt,
    g.model_id,
    g.model_version,
    g.deployment,
    if(c.place <= $kind_count, c.error_kind, '(other)') as error_kind,
    sum(c.row_count)::bigint as row_count
from counted as c
inner join prediction_groups as g on c.code = g.code
group by all
order by g.dt, g.model_id, g.model_version, g.deployment, error_kind;
