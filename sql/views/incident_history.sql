-- Which incidents were open on each day, were they acknowledged or silenced (mark), and are notices due? Silenced incidents are included.
create or replace view incident_history as
with incident_actions as (
    select
        i.dt,
        i.incident_id,
        arg_max(a.action, a.acted_at) as action,
        arg_max(a.from_on, a.acted_at) as from_on,
        arg_max(a.until_on, a.acted_at) as until_on,
        arg_max(a.reason, a.acted_at) as reason,
        arg_max(a.acted_by, a.acted_at) as acted_by
    from incidents as i
    inner join alert_actions as a
        on a.target_kind = 'incident' and i.incident_id = a.target and i.dt >= a.from_on
    group by i.dt, i.incident_id
),

rule_actions as (
    select
        l.dt,
        l.incident_id,
        l.rule,
        arg_max(a.action, a.acted_at) as action,
        arg_max(a.until_on, a.acted_at) as until_on,
        arg_max(a.reason, a.acted_at) as reason,
        arg_max(a.acted_by, a.acted_at) as acted_by
    from alerts as l
    left join alert_actions as a on a.target_kind = 'rule' and l.rule = a.target and l.dt >= a.from_on
    where l.incident_id is not null
    group by l.dt, l.incident_id, l.rule
),

-- an incident is silenced by its rules if each of them is
by_rule as (
    select
        dt,
        incident_id,
        arg_min(action, rule) as action,
        min(until_on) as until_on,
        arg_min(reason, rule) as reason,
        arg_min(acted_by, rule) as acted_by
    from rule_actions
    group by dt, incident_id
    having bool_and(coalesce(until_on >= dt, false))
),

marked as (
    select
        i.*,
        coalesce(if(s.until_on >= i.dt, s.action, null), r.action) as mark,
        if(s.until_on >= i.dt, s.until_on, r.until_on) as mark_until_on,
        if(s.until_on >= i.dt, s.reason, r.reason) as mark_reason,
        if(s.until_on >= i.dt, s.acted_by, r.acted_by) as marked_by,
        b.severity as severity_when_marked
    from incidents as i
    left join incident_actions as s on i.dt = s.dt and i.incident_id = s.incident_id
    left join by_rule as r on i.dt = r.dt and i.incident_id = r.incident_id
    left join incidents as b on i.incident_id = b.incident_id and s.from_on = b.dt
)

select
    * exclude (severity_when_marked),
    downtime is null
    and case mark
        when 'snooze' then false
        when 'mute' then false
        -- the person working on it gets a notice if it becomes critical or is resolved
        when 'ack' then state = 'resolved' or (severity = 'critical' and coalesce(severity_when_marked, 'warn') = 'warn')
        else true
    end as is_notified
from marked;
