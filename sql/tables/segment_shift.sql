-- How much of a feature's shift each segment explains, for features whose PSI is beyond its noise. The shares of the segments of a column add up to one.
-- grain: dt, model_id, model_version, deployment, feature, window_days, reference, segment
create table if not exists segment_shift (
    dt date not null, -- day the row is about
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment_column varchar not null, -- column whose values are the segments
    segment varchar not null, -- column=value
    feature varchar not null, -- feature, or 'score'
    window_days integer not null, -- length of the window that ends with dt, in days
    reference varchar not null, -- what the window is compared with
    current_count bigint not null, -- rows of the segment in the window
    reference_count bigint not null, -- rows of the segment in the reference
    contribution double not null, -- part of the PSI of all rows: sum (share of all rows now - share of all rows in the reference) ln(q / p), q and p being the shares of all rows together
    shift_share double not null -- contribution over the sum of all contributions of the column; negative where a segment moved the other way
);
