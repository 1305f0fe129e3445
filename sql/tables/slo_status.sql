-- Status of each service level objective as of the day: events, error budget and burn rates.
-- grain: dt, slo, model_id
create table if not exists slo_status (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    slo varchar not null, -- name of the objective in driftlake.yaml
    model_id varchar not null, -- model the row is about, all its versions together
    sli varchar not null, -- latency, availability, quality, label_timeliness, drift_share or completeness
    objective double not null, -- share of the events that should be good
    period_days integer not null, -- days in which the error budget may be spent, ending with dt
    good_count bigint not null, -- good events of the day
    total_count bigint not null, -- events of the day
    sli_value double, -- good_count / total_count; null on a day without events
    period_good_count bigint not null, -- good events of the period
    period_total_count bigint not null, -- events of the period
    budget_remaining double, -- share of the error budget of the period that is left; negative if it is overspent, null without events
    burn_rate_1d double, -- share of bad events of the day / (1 - objective); 1 spends the budget exactly; null without events
    burn_rate_3d double, -- likewise over three days
    burn_rate_7d double, -- likewise over seven days
    burn_rate_28d double, -- likewise over 28 days
    state varchar not null -- ok, slow_burn, fast_burn, exhausted or no_data
);
