-- Which declarations of tables and views the warehouse was brought to. The newest row is in force.
-- grain: applied_at
create table if not exists schema_versions (
    applied_at timestamp with time zone not null, -- when they were applied
    fingerprint varchar not null -- SHA-256 over the declarations
);
