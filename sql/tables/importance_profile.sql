-- SHAP values of the day's predictions, summed per feature, where telemetry has them (telemetry.shap). Sums add up over days.
-- grain: dt, model_id, model_version, deployment, segment, feature
create table if not exists importance_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    feature varchar not null, -- feature that is explained
    row_count bigint not null, -- predictions with a finite SHAP value of the feature
    absolute_sum double not null, -- sum of the absolute SHAP values
    signed_sum double not null -- sum of the SHAP values: in which direction the feature moves predictions
);
