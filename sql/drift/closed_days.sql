-- Days without predictions on which none were expected.
-- grain: dt
-- inputs: contract_checks
select dt
from contract_checks
where source = 'telemetry' and expectation = 'partition_is_present' and outcome = 'passed'
order by dt;
