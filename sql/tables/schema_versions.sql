-- Versions of the tables and views to which the warehouse was upgraded. The newest row is the current one.
-- grain: applied_at
create table if not exists schema_versions (
    applied_at timestamp with time zone not null, -- when they were applied
    fingerprint varchar not null, -- SHA-256 over the declarations
    version bigint -- number of the version of the tables, which grows with each change of a column; null in rows of earlier releases
);
