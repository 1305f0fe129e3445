-- What `driftlake erase` removed about a person or a prediction, without the id. Append-only.
-- grain: erased_at
create table if not exists erasures (
    erased_at timestamp with time zone not null, -- time of the erasure
    erased_by varchar not null, -- who
    subject varchar not null, -- correlation_id or user_key
    subject_hash varchar not null, -- SHA-256 of the id's pseudonym by the key in key_id; without a key, SHA-256 of the id as it was given
    key_id varchar, -- newest key of pseudonyms.keys that could be read; null without one
    row_counts map(varchar, bigint) not null, -- rows that were deleted or changed, by table; empty if nothing was stored
    page_count bigint not null, -- pages of reports that were removed
    is_purged boolean not null -- whether earlier snapshots and their files were to be removed at once
);
