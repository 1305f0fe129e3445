-- Scores that a candidate and production gave to the same predictions, counted by the bins of both.
-- grain: dt, model_id, model_version, deployment, production_version, bin_id, production_bin_id
create table if not exists shadow_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the candidate
    deployment varchar not null, -- deployment of the candidate: shadow or canary
    production_version varchar not null, -- version that answered the same predictions in production
    bin_id integer not null, -- bin of the candidate's score: 0 missing, 1 below and 2 above the grid of production's score, from 3 on four merged bins of a probability, or a bin of feature_bins of production's score
    production_bin_id integer not null, -- bin of production's score, likewise
    row_count bigint not null, -- predictions with both scores in these bins
    difference_sum double not null, -- sum of (candidate's score - production's score)
    squared_difference_sum double not null, -- sum of the squares of these differences
    both_at_cut_count bigint, -- predictions with both scores from the decision cut on; null for models without a cut
    candidate_at_cut_count bigint, -- predictions that only the candidate classifies as positive; null for models without a cut
    production_at_cut_count bigint -- predictions that only production classifies as positive; null for models without a cut
);
