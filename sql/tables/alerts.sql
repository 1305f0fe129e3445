-- Rules of driftlake.yaml that fired on a day.
-- grain: dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference
create table if not exists alerts (
    dt date not null, -- day the alert is about
    rule varchar not null, -- name of the rule
    signal varchar not null, -- what was measured, e.g. feature_drift.psi
    severity varchar not null, -- warn or critical
    model_id varchar, -- model; null for signals about a whole partition
    model_version varchar, -- version
    deployment varchar, -- deployment
    segment varchar, -- segment
    feature varchar, -- feature, latency column or expectation
    window_days integer, -- window of the value in days
    reference varchar, -- what was compared with
    value double not null, -- value on dt
    threshold double not null, -- threshold that was crossed
    sample_count bigint not null, -- rows the value rests on
    noise_floor double, -- noise floor of the value; an alert below it does not fire
    since_on date not null, -- first day of the unbroken run of days above the warn threshold
    consecutive_days integer not null, -- length of that run up to dt
    owner varchar, -- who is responsible, from the rule
    runbook varchar, -- where to read on, from the rule
    message varchar not null -- the alert in a sentence
);
