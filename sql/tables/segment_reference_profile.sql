-- Counts per bin of the training data by segment, for the segment columns of driftlake.yaml that the training data has. Bins without a row are left out.
-- grain: model_id, model_version, segment, feature, bin_id
create table if not exists segment_reference_profile (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    segment_column varchar not null, -- column whose values are the segments
    segment varchar not null, -- column=value
    feature varchar not null, -- feature, or 'score'
    bin_id integer not null, -- bin of feature_bins
    row_count bigint not null -- training rows in the bin
);
