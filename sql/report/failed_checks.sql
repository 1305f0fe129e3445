-- Contract checks that failed on a day; a check that refused data (error) before one that only warns.
-- grain: source, expectation, column_name, model_id, model_version, path
-- inputs: contract_checks
-- parameters: $day
select
    source,
    expectation,
    column_name,
    model_id,
    model_version,
    severity,
    checked_count,
    unexpected_count,
    coalesce(message, observed) as message
from contract_checks
where dt = $day and outcome = 'failed'
order by severity <> 'error', source desc, expectation, column_name, model_id, model_version, path;
