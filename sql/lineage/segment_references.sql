-- The training counts of every segment and feature, bins as lists.
-- grain: model_id, model_version, segment, feature
-- inputs: segment_reference_profile
select
    model_id,
    model_version,
    segment,
    feature,
    list(bin_id order by bin_id) as bin_ids,
    list(row_count order by bin_id) as row_counts
from segment_reference_profile
group by model_id, model_version, segment, feature;
