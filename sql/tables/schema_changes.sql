-- Columns of telemetry that were added, lost, retyped or moved: since the last earlier day, between the files of a day, and against training.
-- grain: dt, comparison, model_id, model_version, column_name, change, expected, found
create table if not exists schema_changes (
    dt date not null, -- day of the telemetry partition
    comparison varchar not null, -- day_before (the last earlier day whose files could be used), within_day (the columns that hold most rows of the version on the day) or training
    compared_on date, -- the earlier day; null if the comparison is with files of the same day or with training data
    model_id varchar, -- model whose predictions are in the files; null for day_before, which is about the whole day
    model_version varchar, -- version of the model; null for day_before
    column_name varchar not null, -- name of the column in the files; a field of telemetry.features_column is called column.field
    change varchar not null, -- added, lost, retyped or reordered
    expected varchar, -- type before, or position among the columns that both have; null if added, or if the training type is not known
    found varchar, -- type or position found; null if lost
    file_count bigint not null, -- files of the day in which it is found
    row_count bigint not null, -- rows of these files; of the version, if there is one
    paths varchar[], -- these files; null if it is every file
    message varchar not null -- the change as a sentence
);
