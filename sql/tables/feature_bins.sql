-- The binning contract: which values fall into which bin, learned once from the training data. The score has its bins under the feature name 'score'.
-- grain: model_id, model_version, feature, bin_id
create table if not exists feature_bins (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    feature varchar not null, -- feature, or 'score'
    bin_id integer not null, -- number of the bin; 0 is missing, 1 and 2 are below/above or other/unseen
    feature_kind varchar not null, -- numeric, categorical or score
    bin_kind varchar not null, -- missing, below, above, range, category, other or unseen
    label varchar not null, -- name of the bin
    lower double, -- lower border, included; null for bins that are not a range
    upper double, -- upper border, excluded
    category varchar, -- category counted by the bin
    coarse_bin_id integer not null, -- coarse bin it belongs to; PSI, KL and JS compare coarse bins
    cell_first integer, -- first cell of the grid inside the bin
    cell_last integer, -- last cell of the grid inside the bin
    grid_transform varchar, -- t in cell = floor((t(x / grid_scale) - t(grid_lower)) / (t(grid_upper) - t(grid_lower)) * grid_cells): linear, log, asinh or logit; or borders: every bin is a cell, and has the values from lower to below upper
    grid_scale double, -- divides the value before the transform
    grid_lower double, -- lower end of the grid, divided by grid_scale
    grid_upper double, -- upper end of the grid, divided by grid_scale
    grid_cells integer, -- cells of the grid
    training_low double, -- lowest training value of the bin; the only one if nine of ten rows have it; null for versions of earlier releases
    training_high double -- highest training value of the bin; the only one if nine of ten rows have it
);
