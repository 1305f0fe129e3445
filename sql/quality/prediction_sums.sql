-- Sums over the scores of every window of a version that predicted on its last day.
-- grain: dt, window_days, model_id, model_version, deployment, segment
-- inputs: prediction_profile, reference_stats
-- parameters: $first_day, $last_day, $windows_days
-- nulls: at_cut_count is null for models without a decision cut; training_mean without training scores, and in segments
with daily as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        coalesce(sum(row_count) filter (where bin_id > 0), 0) as scored_count,
        -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
        coalesce(sum(try_cast(score_sum as decimal(32, 15))), 0) as score_sum,
        if(bool_or(at_cut_count is null), null, sum(at_cut_count)) as at_cut_count,
        -- no bin of a probability extends across one half, so each bin is on one side
        coalesce(
            sum(try_cast(greatest(score_sum, row_count - score_sum) as decimal(32, 15))) filter (where bin_id > 0), 0
        ) as confidence_sum
    from prediction_profile
    where dt > $first_day::date - list_max($windows_days::integer[]) and dt <= $last_day
    group by dt, model_id, model_version, deployment, segment
)

select
    w.dt,
    w.window_days,
    d.model_id,
    d.model_version,
    d.deployment,
    d.segment,
    if(d.segment = 'all', any_value(r.mean), null) as training_mean,
    sum(d.scored_count)::bigint as scored_count,
    sum(d.score_sum)::double as score_sum,
    if(bool_or(d.at_cut_count is null), null, sum(d.at_cut_count))::bigint as at_cut_count,
    sum(d.confidence_sum)::double as confidence_sum
from windows_of($first_day, $last_day, $windows_days) as w
inner join daily as d on d.dt > w.dt - w.window_days and d.dt <= w.dt
left join reference_stats as r
    on d.model_id = r.model_id and d.model_version = r.model_version and r.feature = 'score'
group by w.dt, w.window_days, d.model_id, d.model_version, d.deployment, d.segment
having bool_or(d.dt = w.dt)
order by w.dt, w.window_days, d.model_id, d.model_version, d.deployment, d.segment;
