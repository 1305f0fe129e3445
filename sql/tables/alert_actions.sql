-- Actions of people on incidents and rules (acknowledge, snooze, mute), and until when they apply. Append-only: for each target and day, the newest row that covers the day applies.
-- grain: acted_at, target
create table if not exists alert_actions (
    acted_at timestamp with time zone not null, -- time of the action
    action varchar not null, -- ack (somebody is working on it), snooze (no notices until a day) or mute (no notices)
    target_kind varchar not null, -- incident or rule
    target varchar not null, -- incident_id, or name of the rule
    from_on date not null, -- first day it applies to
    until_on date not null, -- last day it applies to
    reason varchar not null, -- why
    acted_by varchar not null -- who
);
