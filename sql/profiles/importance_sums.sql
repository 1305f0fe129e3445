-- Rows of importance_profile from files of SHAP sums; rows of unregistered versions are left out.
-- grain: dt, model_id, model_version, deployment, segment, feature
-- inputs: explanations, versions
-- nulls: a missing deployment is production, a missing segment is all
select
    e.dt,
    e.model_id,
    e.model_version,
    coalesce(e.deployment, 'production') as deployment,
    coalesce(e.segment, 'all') as segment,
    e.feature,
    sum(e.row_count)::bigint as row_count,
    -- a sum of floats depends on the order of the rows, and a rerun must give the same
    sum(e.absolute_sum order by e.file_id, e.file_row_number) as absolute_sum,
    sum(e.signed_sum order by e.file_id, e.file_row_number) as signed_sum
from explanations as e
inner join versions as v
    on e.model_id = v.model_id and e.model_version = v.model_version
where
    -- columns that contain personal data
    e.feature is not null
    and e.segment is distinct from '(left out)'
group by e.dt, e.model_id, e.model_version, coalesce(e.deployment, 'production'), coalesce(e.segment, 'all'), e.feature
order by e.dt, e.model_id, e.model_version, deployment, segment, e.feature;
