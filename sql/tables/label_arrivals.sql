-- How the labels that arrived on a day were used.
-- grain: dt
create table if not exists label_arrivals (
    dt date not null, -- arrival day (the label partition)
    label_count bigint not null, -- rows of the partition
    invalid_count bigint not null, -- rows without a correlation id or with a label that no version counts (0 and 1, any number for a regression, classes for a multiclass model): refused
    duplicate_count bigint not null, -- rows whose correlation id had a label before (same day or within the horizon): the first arrival counts
    conflict_count bigint not null, -- duplicates that contradict the first arrival
    matched_count bigint not null, -- labels whose prediction is known
    unmatched_count bigint not null -- labels without a prediction within the horizon up to this day, or on the day that the label names
);
