-- The verdict on each model version and day, and its reason.
-- grain: dt, model_id, model_version, deployment
create table if not exists model_verdicts (
    dt date not null, -- day the row is about
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    verdict varchar not null, -- harmed (worse than its tolerance allows), broken (its data is broken), blind (its performance is unknown), watch (alerts are open, but none pages) or well (no alert is open)
    since_on date, -- first day of the loss or of the incident that decided; null if the version is well
    statistic varchar, -- statistic of performance that is tested; null if none can be tested
    value double, -- its value over the quality window, labels and estimates combined
    confidence_low double, -- lower end of the 95 % interval, days as clusters
    confidence_high double, -- upper end of the 95 % interval
    baseline_value double, -- what it is compared with
    tolerance double, -- how much worse than the baseline the version may be
    loss_evidence double, -- evidence, added up over nights, that it is worse than the tolerance allows; it pages at 1
    detectable_loss double, -- loss below the baseline that is found within 28 days in half of the cases
    sentence varchar not null, -- the verdict in a sentence
    incident_id varchar -- incident that decided; null if none did
);
