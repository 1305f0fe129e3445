-- The values that rules watch: those of their signals, and of their opening references.
-- grain: dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: signals (in its place come the queries of the sources that the rules watch), alert_rules
-- parameters: $signals (of the rules), $last_day, $holidays
-- nulls: deployment, segment, feature and reference where a signal has none
select
    s.*,
    r.name as rule,
    r.kind,
    r.pages,
    r.warn,
    r.critical,
    r.consecutive_days as days_needed,
    r.resolve_after_days,
    r.owner,
    r.runbook,
    s.value >= r.warn and (s.noise_floor is null or s.value > s.noise_floor) as is_high,
    s.value < r.resolve or coalesce(s.value <= s.noise_floor, false) as is_clear,
    s.reference is null or list_contains(r.reference_names, s.reference) as is_of_rule,
    coalesce(s.reference = r.opening_reference, false) as is_of_opening,
    r.opening_reference is not null and s.reference is not null as opens_on_jump
from signals as s
inner join alert_rules as r
    on s.signal = r.signal
    and (s.model_id is null or len(r.models) = 0 or list_contains(r.models, s.model_id))
    and (len(r.features) = 0 or list_contains(r.features, s.feature))
    and not coalesce(list_contains(r.except_features, s.feature), false)
    and (s.window_days = r.window_days or not r.is_windowed)
    and (s.deployment is null or list_contains(r.deployments, s.deployment))
    and if(len(r.segments) > 0, list_contains(r.segments, s.segment), coalesce(s.segment, 'all') = 'all' or r.each_segment)
where
    list_contains($signals, s.signal)
    and s.dt <= $last_day
    -- few predictions on a holiday are not a loss
    and not (s.signal = 'prediction_volume.lost_share' and list_contains($holidays, s.dt))
    and s.sample_count >= r.minimum_sample
    and (is_of_rule or is_of_opening);
