-- Rows of shadow_cohorts: labels that became known on each day, for predictions that both a candidate and production scored.
-- grain: dt, prediction_on, model_id, model_version, deployment, production_version, bin_id, production_bin_id
-- inputs: label_pairs, versions, score_cells
-- parameters: $first_day, $last_day
with paired as (
    select
        c.known_on,
        c.prediction_on,
        v.model_id,
        v.model_version,
        c.deployment,
        w.model_version as production_version,
        c.label,
        c.weight,
        w.version_id as production_version_id,
        w.score_kind,
        w.grid_cells,
        grid_cell(c.score, w.grid_transform, w.grid_scale, w.grid_lower, w.grid_upper, w.grid_cells, borders := w.grid_borders)
            as cell,
        grid_cell(p.score, w.grid_transform, w.grid_scale, w.grid_lower, w.grid_upper, w.grid_cells, borders := w.grid_borders)
            as production_cell
    from label_pairs as c
    inner join label_pairs as p
        on c.label_id = p.label_id and c.prediction_on = p.prediction_on and c.weight = p.weight
    inner join versions as v on c.version_id = v.version_id
    inner join versions as w
        on p.version_id = w.version_id and v.model_id = w.model_id and v.score_kind = w.score_kind
    where
        c.weight <> 0
        and c.is_sampled
        and p.is_sampled
        and c.deployment <> 'production'
        and p.deployment = 'production'
        and v.task = 'binary'
        and w.task = 'binary'
        and c.known_on between $first_day and $last_day
),

binned as (
    select
        p.*,
        shadow_bin(p.cell, p.score_kind, p.grid_cells, a.bin_id) as bin_id,
        shadow_bin(p.production_cell, p.score_kind, p.grid_cells, b.bin_id) as production_bin_id
    from paired as p
    left join score_cells as a on p.production_version_id = a.version_id and p.cell = a.cell
    left join score_cells as b on p.production_version_id = b.version_id and p.production_cell = b.cell
)


select
    known_on as dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    production_version,
    bin_id,
    production_bin_id,
    coalesce(sum(weight) filter (where label = 1), 0)::bigint as positive_count,
    coalesce(sum(weight) filter (where label = 0), 0)::bigint as negative_count
from binned
group by known_on, prediction_on, model_id, model_version, deployment, production_version, bin_id, production_bin_id
order by known_on, prediction_on, model_id, model_version, deployment, production_version, bin_id, production_bin_id;
