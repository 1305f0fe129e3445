-- Whether each model version is all right on a day, and what decided that.
-- grain: dt, model_id, model_version, deployment
create table if not exists model_verdicts (
    dt date not null, -- day the row is about
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    verdict varchar not null, -- harmed: it performs worse than its tolerance allows; broken: its data are; blind: nobody can tell; watch: an alert is open that wakes nobody; well: none is
    since_on date, -- first day of what decided; null if the version is well
    statistic varchar, -- statistic of performance that the version is held to; null if none can be tested
    value double, -- its value over the quality window, labels and estimates combined
    confidence_low double, -- lower end of the 95 % interval, days as clusters
    confidence_high double, -- upper end of the 95 % interval
    baseline_value double, -- what it is compared with
    tolerance double, -- how much worse than the baseline is no harm
    loss_evidence double, -- evidence collected over nights that it is worse: 1 pages
    detectable_loss double, -- smallest loss below the baseline that shows within 28 days
    sentence varchar not null, -- the verdict in a sentence
    incident_id varchar -- incident that decided; null if none did
);
