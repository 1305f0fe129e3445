-- The model versions that predictions name, those with most rows first, and whether each is known.
-- grain: model_id, model_version
-- inputs: predictions, versions
-- nulls: rows without a model or a version are of an unknown one
select
    p.model_id,
    p.model_version,
    count(*) as row_count,
    count(v.model_id) > 0 as is_known
from predictions as p
left join versions as v on p.model_id = v.model_id and p.model_version = v.model_version
group by p.model_id, p.model_version
order by row_count desc, p.model_id, p.model_version;
