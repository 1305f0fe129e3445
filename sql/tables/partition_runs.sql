-- Which run, code, configuration and inputs produced each partition. Append-only: the newest row of a (dt, stage) is the current one.
-- grain: dt, stage, run_id, committed_at
create table if not exists partition_runs (
    dt date not null, -- day of the partition
    stage varchar not null, -- profiles, label_cohorts, drift, model_quality, slos or alerts
    run_id varchar not null, -- Dagster run, or the command that ran
    outcome varchar not null, -- complete, partial (something was refused or left out), refused, failed, empty or missing; refused and failed days keep their rows
    reason varchar, -- what was refused, left out or failed, and why
    row_count bigint not null, -- input rows counted (profiles, label_cohorts) or rows written
    code_version varchar not null, -- version of driftlake and a hash over its code
    config_hash varchar not null, -- SHA-256 of the settings of the run
    input_fingerprint varchar, -- hash over everything the rows depend on: input files, earlier stages, settings, registered versions, code. If it is unchanged, the day is not computed again; null if something could not be read, or failed
    snapshot_id bigint not null, -- DuckLake snapshot that holds the result
    started_at timestamp with time zone not null, -- start of the computation
    committed_at timestamp with time zone not null, -- time of the commit
    stored_rows map(varchar, bigint) -- rows of the day in each table that the commit replaced; table/source where several inputs share a table; null before 2026-12
);
