-- Counts of the training data per combination of the bins of two features, for the pairs of driftlake.yaml.
-- grain: model_id, model_version, feature_a, feature_b, bin_a, bin_b
create table if not exists reference_pair_profile (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    feature_a varchar not null, -- first feature of the pair
    feature_b varchar not null, -- second feature of the pair
    bin_a integer not null, -- bin_id of a category, coarse_bin_id of a number, in feature_bins
    bin_b integer not null, -- the same of the second feature
    row_count bigint not null -- training rows with both
);
