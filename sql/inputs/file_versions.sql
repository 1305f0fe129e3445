-- Registered versions with predictions in each file.
-- grain: file_id, model_id, model_version
-- inputs: predictions, versions
select
    p.file_id,
    p.model_id,
    p.model_version,
    count(*) as row_count
from predictions as p
inner join versions as v on p.model_id = v.model_id and p.model_version = v.model_version
group by p.file_id, p.model_id, p.model_version
order by p.file_id, p.model_id, p.model_version;
