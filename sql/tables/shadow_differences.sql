-- Differences of the scores that a candidate and production gave to the same predictions, in bins of two per cent relative width.
-- grain: dt, model_id, model_version, deployment, production_version, bin_id
create table if not exists shadow_differences (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the candidate
    deployment varchar not null, -- deployment of the candidate: shadow or canary
    production_version varchar not null, -- version that answered the same predictions in production
    bin_id integer not null, -- 0 below a millionth; n and -n from 0.000001 * 1.02^(n-1) to 0.000001 * 1.02^n either way
    difference double not null, -- geometric middle of the bin, candidate's score - production's score; 0 in bin 0
    row_count bigint not null -- predictions in the bin
);
