-- Counts per bin of the training data. Bins without a row are left out.
-- grain: model_id, model_version, feature, bin_id
create table if not exists reference_profile (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    feature varchar not null, -- feature, or 'score'
    bin_id integer not null, -- bin of feature_bins
    row_count bigint not null -- training rows in the bin
);
