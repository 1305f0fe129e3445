-- Every contract check of a day, for Data Docs.
-- grain: source, expectation, column_name, model_id, model_version, path
-- inputs: contract_checks
-- parameters: $day
select
    source,
    expectation,
    column_name,
    model_id,
    model_version,
    path,
    severity,
    checked_count,
    if(outcome = 'failed', greatest(unexpected_count, 1), 0) as unexpected_count
from contract_checks
where dt = $day
order by source, severity, expectation, column_name, model_id, model_version, path;
