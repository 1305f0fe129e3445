-- The code of every prediction that counts, by its place in the files.
-- grain: file_id, file_row_number
-- inputs: prediction_rows, prediction_groups
select
    r.file_id,
    r.file_row_number,
    g.code
from prediction_rows as r
inner join prediction_groups as g
    on r.dt = g.dt
    and r.model_id = g.model_id
    and r.model_version = g.model_version
    and r.deployment = g.deployment;
