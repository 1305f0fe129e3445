-- What people said about incidents and rules: seen, be quiet, and until when. Append-only: the newest of a target that holds on a day is in force on it.
-- grain: acted_at, target
create table if not exists alert_actions (
    acted_at timestamp with time zone not null, -- when it was said
    action varchar not null, -- ack (somebody is on it), snooze (not now) or mute (not wanted)
    target_kind varchar not null, -- incident or rule
    target varchar not null, -- incident_id, or name of the rule
    from_on date not null, -- first day it holds for
    until_on date not null, -- last day it holds for
    reason varchar not null, -- why
    acted_by varchar not null -- who
);
