-- The current importance of features and its change, the most important first.
-- grain: model_id, model_version, deployment, feature
-- inputs: importance_drift
-- parameters: $day, $window_days
-- nulls: values that could not be measured
with whole as (
    select
        model_id,
        model_version,
        deployment,
        reference,
        value as ndcg,
        outcome,
        reason,
        current_count
    from importance_drift
    where dt = $day and window_days = $window_days and segment = 'all' and statistic = 'ndcg'
),

features as (
    select
        model_id,
        model_version,
        deployment,
        feature,
        max(value) filter (where statistic = 'dominant') as share,
        max(value) filter (where statistic = 'share_change') as share_change,
        max(value) filter (where statistic = 'rank_change') as rank_change,
        max(outcome) filter (where statistic = 'dominant') as dominance
    from importance_drift
    where dt = $day and window_days = $window_days and segment = 'all' and feature is not null
    group by model_id, model_version, deployment, feature
)

select
    w.model_id,
    w.model_version,
    w.deployment,
    w.reference,
    w.ndcg,
    w.outcome,
    w.reason,
    w.current_count,
    f.feature,
    f.share,
    f.share_change,
    f.rank_change,
    f.dominance
from whole as w
left join features as f
    on w.model_id = f.model_id and w.model_version = f.model_version and w.deployment = f.deployment
order by w.model_id, w.deployment <> 'production', w.deployment, w.model_version, f.share desc, f.feature;
