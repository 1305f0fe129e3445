-- Every category seen in training and the bin that counts it. A category that is not here is unseen.
-- grain: model_id, model_version, feature, category
create table if not exists feature_categories (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    feature varchar not null, -- categorical feature
    category varchar not null, -- category as text
    bin_id integer not null, -- bin that counts it: its own, or 1 (other)
    row_count bigint not null -- training rows with it
);
