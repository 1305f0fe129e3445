-- Every input file read or refused, with what identifies its content.
-- grain: dt, source, path
create table if not exists input_files (
    dt date not null, -- day of the partition
    source varchar not null, -- telemetry, labels, or explanations: files of telemetry.shap.path
    path varchar not null, -- file
    size_bytes bigint not null, -- size of the file
    row_count bigint, -- rows; null if the file cannot be read
    schema_fingerprint varchar, -- hash of the column names and types
    content_fingerprint varchar not null, -- hash of the size and the Parquet footer (statistics, offsets and sizes of every column chunk)
    outcome varchar not null, -- read or refused
    reason varchar -- why it was refused
);
