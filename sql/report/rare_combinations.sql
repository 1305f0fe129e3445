-- Combinations of features that are rare in training and frequent in the window, the least probable first.
-- grain: model_id, model_version, deployment, feature_a, feature_b, bin_a, bin_b
-- inputs: rare_combinations
-- parameters: $day, $window_days; $smallest_cell, rows that a combination needs to be named
select
    model_id,
    model_version,
    deployment,
    feature_a,
    label_a,
    feature_b,
    label_b,
    current_count,
    expected_count,
    q_value
from rare_combinations
where dt = $day and window_days = $window_days and current_count >= $smallest_cell
order by model_id, deployment <> 'production', deployment, model_version, p_value, feature_a, feature_b, bin_a, bin_b;
