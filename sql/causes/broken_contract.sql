-- Evidence: contract checks that fail and did not fail in the week before. The number of rows is a separate cause.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, contract_checks
with failures as (
    select
        s.incident_id,
        s.opened_on,
        s.first_on,
        c.dt,
        c.expectation || coalesce('.' || c.column_name, '') as subject,
        c.unexpected_count / nullif(c.checked_count, 0) as share,
        c.message,
        min(c.dt) over (partition by s.incident_id, c.source, c.expectation, c.column_name) as failed_from
    from incident_alerts as s
    inner join contract_checks as c
        on (c.model_id is null or s.model_id is null or s.model_id = c.model_id)
        and (c.model_version is null or s.model_version is null or s.model_version = c.model_version)
    where
        c.outcome = 'failed'
        and c.source in ('telemetry', 'labels')
        and case
            when s.signal like 'label_backlog%' then c.source = 'labels'
            when s.signal like 'feature_breaks%' then c.column_name = s.feature
            when s.signal like 'contract_checks%' then starts_with(s.feature, c.source || '.')
            else c.source = 'telemetry'
        end
        and c.expectation not in ('row_count_is_usual', 'feature_is_as_complete_as_in_training')
        and c.dt between s.first_on - 7 and s.until_on
)

select
    incident_id,
    subject,
    greatest(dt, opened_on) as known_on,
    greatest(0.3, least(1, coalesce(share, 1)))::double as strength,
    message
from failures
where failed_from >= first_on;
