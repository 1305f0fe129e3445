-- How sure were the models of their predictions, day by day? Predictions by max(p, 1 - p), for scores that are probabilities of a positive.
create or replace view confidence_histogram as
with binned as (
    select
        p.dt,
        p.model_id,
        p.model_version,
        p.deployment,
        p.segment,
        -- ten bins on either side of one half are merged; scores beyond the grid have the highest confidence
        if(p.bin_id < 3, b.grid_cells // 20, floor(abs(p.bin_id - 2.5 - b.grid_cells / 2) / 10))::integer as step,
        b.grid_cells // 20 as last_step,
        ln(b.grid_upper / (1 - b.grid_upper)) * 20 / b.grid_cells as step_log_odds,
        p.row_count
    from prediction_profile as p
    inner join training_runs as t
        on p.model_id = t.model_id and p.model_version = t.model_version and t.score_kind <> 'value'
        and t.classes is null
    inner join feature_bins as b
        on p.model_id = b.model_id and p.model_version = b.model_version and b.feature = 'score' and b.bin_id = 0
    where p.bin_id > 0
)

select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    1 / (1 + exp(-step_log_odds * step)) as confidence_from,
    if(step = last_step, 1, 1 / (1 + exp(-step_log_odds * (step + 1)))) as confidence_to,
    sum(row_count)::bigint as row_count
from binned
group by dt, model_id, model_version, deployment, segment, step, last_step, step_log_odds;
