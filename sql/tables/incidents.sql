-- Incidents, a row per incident and day: alerts that may have one cause, with the most probable cause.
-- grain: dt, incident_id
create table if not exists incidents (
    dt date not null, -- day the row is about
    incident_id varchar not null, -- hash of the first alert and its day: the same on every run
    model_id varchar, -- model; null if alerts are about whole partitions or several models
    state varchar not null, -- open on the first day, ongoing, or resolved once none of its alerts is open
    severity varchar not null, -- warn or critical: the worst of its open alerts
    opened_on date not null, -- day the first alert opened
    since_on date not null, -- first day on which the signal of the first alert was above its threshold
    alert_count bigint not null, -- alerts open on dt
    model_versions varchar[] not null, -- versions that the alerts are about
    cause varchar not null, -- probable cause: a name of docs/alerts.md, or unknown
    title varchar not null, -- the incident in a sentence, cause first
    evidence varchar[] not null, -- what else happened at the same time, most significant first
    rule varchar not null, -- rule of the highest ranked alert
    owner varchar, -- who is responsible, from the highest ranked alert that names somebody
    runbook varchar, -- link or path to instructions, from the highest ranked alert that has one
    downtime varchar, -- reason of the planned downtime on the day; null without one
    kind varchar, -- kind of all of its alerts: harm, break, blind, service or drift; null in rows of earlier releases
    pages boolean -- whether it pages: an alert of a rule that pages has been critical; null in rows of earlier releases
);
