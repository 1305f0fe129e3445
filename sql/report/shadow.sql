-- Every candidate against production over a window, a row per comparison.
-- grain: model_id, model_version, deployment, production_version
-- inputs: shadow_comparison
-- parameters: $day, $window_days
-- nulls: values that could not be measured; reason and auc_reason say why
select
    model_id,
    model_version,
    deployment,
    production_version,
    max(paired_count) filter (where statistic = 'matched_share') as paired_count,
    max(value) filter (where statistic = 'matched_share') as matched_share,
    max(value) filter (where statistic = 'agreement_share') as agreement_share,
    max(confidence_low) filter (where statistic = 'agreement_share') as agreement_low,
    max(confidence_high) filter (where statistic = 'agreement_share') as agreement_high,
    max(value) filter (where statistic = 'rank_correlation') as rank_correlation,
    max(value) filter (where statistic = 'mean_difference') as mean_difference,
    max(value) filter (where statistic = 'difference_p05') as difference_p05,
    max(value) filter (where statistic = 'difference_p95') as difference_p95,
    max(reason) filter (where statistic = 'mean_difference') as reason,
    max(value) filter (where statistic = 'auc_difference') as auc_difference,
    max(confidence_low) filter (where statistic = 'auc_difference') as auc_low,
    max(confidence_high) filter (where statistic = 'auc_difference') as auc_high,
    max(p_value) filter (where statistic = 'auc_difference') as auc_p_value,
    max(reason) filter (where statistic = 'auc_difference') as auc_reason
from shadow_comparison
where dt = $day and window_days = $window_days
group by model_id, model_version, deployment, production_version
order by model_id, model_version, deployment, production_version;
