-- Summary of a run: totals of the days, state of the last day.
-- grain: one row
-- inputs: current_runs, feature_drift, alerts, label_backlog
-- parameters: $first_day, $last_day, $window_days
with drifted as (
    select
        count(*) as feature_count,
        count(*) filter (where outcome = 'drift') as drifted_count,
        count(*) filter (where outcome = 'insufficient_data') as unjudged_count,
        max(reason) filter (where outcome = 'insufficient_data') as unjudged_reason
    from feature_drift
    where
        dt = $last_day
        and statistic = 'psi'
        and window_days = $window_days
        and segment = 'all'
        and reference = 'training'
        and current_count > 0
),

raised as (
    select
        count(*) filter (where severity = 'critical') as critical_count,
        count(*) filter (where severity = 'warn') as warn_count
    from alerts
    where dt = $last_day and state is distinct from 'resolved'
),

waiting as (
    select
        coalesce(sum(outstanding_count), 0)::bigint as outstanding_count,
        coalesce(sum(overdue_count), 0) as overdue_count
    from label_backlog
    where dt = $last_day and age_bucket = 'all' and segment = 'all'
),

processed as (
    select
        count(*) filter (where outcome in ('complete', 'partial', 'empty')) as day_count,
        coalesce(sum(row_count) filter (where outcome in ('complete', 'partial')), 0)::bigint as row_count
    from current_runs
    where stage = 'profiles' and dt between $first_day and $last_day
)

select
    processed.day_count,
    processed.row_count,
    drifted.feature_count,
    drifted.drifted_count,
    drifted.unjudged_count,
    drifted.unjudged_reason,
    raised.critical_count,
    raised.warn_count,
    waiting.outstanding_count,
    waiting.overdue_count
from processed
cross join drifted
cross join raised
cross join waiting;
