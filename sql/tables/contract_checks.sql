-- Outcome of every contract check of a day, and of every file or column that was refused.
-- grain: dt, source, expectation, column_name, model_id, model_version, path
create table if not exists contract_checks (
    dt date not null, -- day of the partition that was checked
    source varchar not null, -- telemetry, labels, explanations (files of telemetry.shap.path) or training (dt is then the day of registration, UTC)
    expectation varchar not null, -- what was expected, e.g. score_is_a_probability
    column_name varchar, -- column that was checked
    model_id varchar, -- model that was refused; null if the check is about the whole partition
    model_version varchar, -- version that was refused
    path varchar, -- file that was refused
    severity varchar not null, -- error (what was checked is not used) or warning
    outcome varchar not null, -- passed or failed
    checked_count bigint not null, -- rows checked
    unexpected_count bigint not null, -- rows that broke the expectation
    observed varchar, -- what was found, in short
    message varchar -- what is wrong and where, in a sentence; null if passed
);
