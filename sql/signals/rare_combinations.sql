-- Signal of rare combinations: how many were found, with the most unlikely one.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: rare_combinations
select
    dt,
    'rare_combinations.count' as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    null::varchar as feature,
    window_days,
    'training' as reference,
    count(*)::double as value,
    max(current_size) as sample_count,
    null::double as noise_floor,
    format(
        -- categories are not named, because few rows may identify persons
        '{} {} ({}): {} combinations of features that are rare in training have become frequent; the most unlikely is one of {} and {} ({} rows, {:.1f} expected)',
        model_id,
        model_version,
        deployment,
        count(*),
        arg_min(feature_a, p_value),
        arg_min(feature_b, p_value),
        arg_min(current_count, p_value),
        arg_min(expected_count, p_value)
    ) as detail
from rare_combinations
group by dt, model_id, model_version, deployment, window_days;
