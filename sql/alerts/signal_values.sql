-- Values of a signal over history in ascending order: the possible thresholds.
-- grain: one row
-- inputs: signals (in its place comes the query of the source of the signal)
-- parameters: $signal, $models, $features, $except_features, $window_days (null for a signal of one day), $deployments, $minimum_sample, $first_day, $last_day
select quantile_disc(value, list_transform(range(1, 41), lambda i: 1 - 0.5 ^ (i / 4.0))) as thresholds
from signals
where
    signal = $signal
    and (model_id is null or len($models) = 0 or list_contains($models, model_id))
    and (len($features) = 0 or list_contains($features, feature))
    and not coalesce(list_contains($except_features, feature), false)
    and coalesce(window_days = $window_days, true)
    and (deployment is null or list_contains($deployments, deployment))
    and sample_count >= $minimum_sample
    and (noise_floor is null or value > noise_floor)
    and dt between $first_day and $last_day;
