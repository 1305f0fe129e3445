-- Every version of every input file that was ever read, refused or found removed, with fingerprints of its content. Append-only: the view current_input_files lists the files that exist now.
-- grain: dt, source, path, snapshot_id
create table if not exists input_files (
    dt date not null, -- day of the partition
    source varchar not null, -- telemetry, labels, or explanations (files of telemetry.shap.path)
    path varchar not null, -- file
    size_bytes bigint not null, -- size of the file
    row_count bigint, -- rows; null if the file cannot be read
    schema_fingerprint varchar, -- hash of the column names and types
    content_fingerprint varchar not null, -- hash of the size and the Parquet footer (statistics, offsets and sizes of every column chunk)
    outcome varchar not null, -- read, refused, or removed (the file no longer existed; the other columns describe its last version)
    reason varchar, -- why it was refused
    table_version varchar, -- version of the Delta table, or snapshot of the Iceberg table, at which it was last found changed; null if the file does not belong to a table
    modified_at timestamp with time zone, -- time of modification by the file system; null if it has none, and in rows of earlier releases
    seen_at timestamp with time zone, -- when this version was first recorded; null in rows of earlier releases
    run_id varchar, -- run that recorded it; null in rows of earlier releases
    snapshot_id bigint -- DuckLake snapshot that recorded it, which orders the versions of a file; null in rows of earlier releases
);
