-- A candidate against production on the same predictions, one row per statistic.
-- grain: dt, model_id, model_version, deployment, production_version, window_days, statistic
create table if not exists shadow_comparison (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the candidate
    deployment varchar not null, -- deployment of the candidate: shadow or canary
    production_version varchar not null, -- version that answered the same predictions in production
    window_days integer not null, -- length of the window that ends with dt, in days
    statistic varchar not null, -- matched_share, agreement_share, mean_difference, difference_p05, difference_p50, difference_p95, rank_correlation, psi or auc_difference
    value double, -- value of the statistic, differences being candidate - production; null where it cannot be computed
    confidence_low double, -- lower end of its 95 % interval; null for statistics without one
    confidence_high double, -- upper end of it
    p_value double, -- for auc_difference: probability of one at least this large if both rank equally well
    paired_count bigint not null, -- predictions of the window that both have scored; for matched_share, those that both have answered
    positive_count bigint, -- for auc_difference: labels of these predictions that are 1
    negative_count bigint, -- for auc_difference: labels of these predictions that are 0
    outcome varchar not null, -- measured or insufficient_data
    reason varchar, -- why the value is missing; null if it is not
    interval_unit varchar -- unit that the interval of auc_difference treats as independent: days, or rows (DeLong 1988) with fewer than 8 days; null in rows of earlier releases
);
