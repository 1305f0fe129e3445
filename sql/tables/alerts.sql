-- Alerts that the rules of driftlake.yaml raised: a row per alert and day, from the day it opens to the day it is resolved.
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
    sample_count bigint not null, -- rows from which the value was computed
    noise_floor double, -- noise floor of the value; an alert below it does not fire
    since_on date not null, -- first of the consecutive days above the warn threshold that opened the alert
    consecutive_days integer not null, -- days from since_on to dt
    owner varchar, -- who is responsible, from the rule
    runbook varchar, -- link or path to instructions, from the rule
    message varchar not null, -- the alert in a sentence
    state varchar, -- open on the first day, ongoing, or resolved on the last; null in rows of earlier releases
    opened_on date, -- day the alert opened
    valued_on date, -- day of the value: dt, unless the signal has no value on dt
    incident_id varchar, -- incident that the alert belongs to
    weight double, -- weight by which the alerts of an incident are ranked: importance of the feature x distance beyond the threshold x share of the rows
    kind varchar, -- what it is about: harm, break, blind, service or drift; null in rows of earlier releases
    pages boolean -- whether its incident pages while the alert is critical; null in rows of earlier releases
);
