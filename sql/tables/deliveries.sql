-- What was told of incidents to whom, and what could not be. Append-only.
-- grain: channel, incident_id, change, attempted_at
create table if not exists deliveries (
    dt date not null, -- day on which the incident stood as it was told
    channel varchar not null, -- name of the channel in driftlake.yaml
    incident_id varchar not null, -- incident
    change varchar not null, -- opened, escalated or resolved
    severity varchar not null, -- warn or critical
    outcome varchar not null, -- delivered, or failed: the next run tries again
    error varchar, -- why it failed, without the address
    attempted_at timestamp with time zone not null -- time of the last attempt
);
