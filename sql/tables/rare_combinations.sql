-- Combinations of two features that are rare in training (drift.rare_share) and more frequent in the window than chance explains. No rows if there are none.
-- grain: dt, model_id, model_version, deployment, window_days, feature_a, feature_b, bin_a, bin_b
create table if not exists rare_combinations (
    dt date not null, -- day the row is about
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    window_days integer not null, -- length of the window that ends with dt, in days
    feature_a varchar not null, -- first feature of the pair
    feature_b varchar not null, -- second feature of the pair
    bin_a integer not null, -- bin_id of a category, coarse_bin_id of a number, in feature_bins
    label_a varchar not null, -- name of that bin
    bin_b integer not null, -- the same of the second feature
    label_b varchar not null, -- name of that bin
    current_count bigint not null, -- predictions of the window with both
    current_size bigint not null, -- all predictions of the window
    reference_count bigint not null, -- training rows with both
    reference_size bigint not null, -- all training rows
    expected_count double not null, -- predictions expected from the training share, with half a row added to every possible combination
    p_value double not null, -- probability of at least current_count if the share were that of training; exact, including the noise of training
    q_value double not null -- p_value after Benjamini and Hochberg over all combinations of the version, day and window
);
