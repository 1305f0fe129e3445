-- The samples of the training data, grouped by version, in the order of their hashes.
-- grain: model_id, model_version, row_hash
-- inputs: reference_sample
select
    model_id,
    model_version,
    row_hash,
    bins
from reference_sample
order by model_id, model_version, row_hash, bins;
