-- Signal of latency: its 95th percentile, with the stage that moved most.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: latency_changes
select
    l.dt,
    'service_levels.p95_ms' as signal,
    l.model_id,
    l.model_version,
    l.deployment,
    l.segment,
    l.metric as feature,
    1 as window_days,
    null::varchar as reference,
    l.p95_ms as value,
    l.row_count as sample_count,
    null::double as noise_floor,
    -- the stage that caused it, if total latency has grown
    if(
        l.change_ms > 0 and s.change_ms > 0,
        format(
            'the 95th percentile of {} of {} {} ({}) is {:.3g} ms, usually {:.3g} ms; {} changed most: {:.3g} ms, usually {:.3g} ms',
            l.metric,
            l.model_id,
            l.model_version,
            l.deployment || if(l.segment = 'all', '', ', ' || l.segment),
            l.p95_ms,
            l.usual_p95_ms,
            s.metric,
            s.p95_ms,
            s.usual_p95_ms
        ),
        null
    ) as detail
from latency_changes as l
left join latency_changes as s
    on l.dt = s.dt
    and l.model_id = s.model_id
    and l.model_version = s.model_version
    and l.deployment = s.deployment
    and l.segment = s.segment
    and l.metric = 'latency_ms'
    and s.moved_place = 1;
