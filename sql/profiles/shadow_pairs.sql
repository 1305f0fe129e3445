-- Fills shadow_pairs: the scores that a candidate and production gave to the same prediction.
-- grain: a prediction of a candidate (shadow or canary) and of a production version, by correlation id on one day
-- inputs: shadow_scores, versions, score_cells
create or replace table shadow_pairs as
with counted as materialized (
    select
        dt,
        version_id,
        model_id,
        model_version,
        deployment,
        correlation_id,
        score
    from shadow_scores
),

paired as (
    select
        c.dt,
        c.model_id,
        c.model_version,
        c.deployment,
        p.model_version as production_version,
        c.score,
        p.score as production_score,
        v.decision_cut,
        w.decision_cut as production_cut,
        w.version_id as production_version_id,
        w.score_kind,
        w.grid_cells,
        grid_cell(c.score, w.grid_transform, w.grid_scale, w.grid_lower, w.grid_upper, w.grid_cells, borders := w.grid_borders)
            as cell,
        grid_cell(p.score, w.grid_transform, w.grid_scale, w.grid_lower, w.grid_upper, w.grid_cells, borders := w.grid_borders)
            as production_cell
    from counted as c
    inner join counted as p
        on c.dt = p.dt and c.model_id = p.model_id and c.correlation_id = p.correlation_id
    inner join versions as v on c.version_id = v.version_id
    inner join versions as w
        on p.version_id = w.version_id
        -- a probability and another score cannot be compared
        and v.score_kind = w.score_kind
    where c.deployment <> 'production' and p.deployment = 'production'
)

select
    p.dt,
    p.model_id,
    p.model_version,
    p.deployment,
    p.production_version,
    shadow_bin(p.cell, p.score_kind, p.grid_cells, a.bin_id) as bin_id,
    shadow_bin(p.production_cell, p.score_kind, p.grid_cells, b.bin_id) as production_bin_id,
    if(isfinite(p.score) and isfinite(p.production_score), p.score - p.production_score, null) as difference,
    p.decision_cut is not null and p.production_cut is not null as has_cut,
    -- nan is larger than every number
    p.score >= p.decision_cut and not isnan(p.score) as is_at_cut,
    p.production_score >= p.production_cut and not isnan(p.production_score) as is_production_at_cut
from paired as p
left join score_cells as a on p.production_version_id = a.version_id and p.cell = a.cell
left join score_cells as b on p.production_version_id = b.version_id and p.production_cell = b.cell;
