-- Notices of incidents: which were sent to which channel, and which could not be sent. Append-only.
-- grain: channel, incident_id, change, attempted_at
create table if not exists deliveries (
    dt date not null, -- day of the incident's state that the notice reports
    channel varchar not null, -- name of the channel in driftlake.yaml
    incident_id varchar not null, -- incident
    change varchar not null, -- opened, escalated or resolved
    severity varchar not null, -- warn or critical
    outcome varchar not null, -- delivered, or failed: the next run tries again
    error varchar, -- why it failed, without the address
    attempted_at timestamp with time zone not null -- time of the last attempt
);
