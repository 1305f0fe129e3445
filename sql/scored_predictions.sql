-- View scored_predictions: predictions of registered versions with the bin of their score.
-- grain: a row of telemetry
-- inputs: predictions, versions, score_cells
-- nulls: a missing score has bin 0; a missing deployment is production
create or replace view scored_predictions as
with placed as (
    select
        p.dt,
        p.correlation_id,
        v.version_id,
        p.model_id,
        p.model_version,
        coalesce(p.deployment, 'production') as deployment,
        p.file_id,
        p.file_row_number,
        p.event_time,
        p.score,
        p.latency_ms,
        v.score_kind,
        grid_cell(p.score, v.grid_transform, v.grid_scale, v.grid_lower, v.grid_upper, v.grid_cells) as cell,
        v.grid_cells
    from predictions as p
    inner join versions as v
        on p.model_id = v.model_id and p.model_version = v.model_version
)

select
    r.* exclude (cell, grid_cells),
    case
        when r.cell is null then 0
        when r.cell < 0 then 1
        when r.cell >= r.grid_cells then 2
        -- every cell of a probability is a bin; only learned grids are merged, and looked up
        when r.score_kind = 'probability' then r.cell + 3
        else c.bin_id
    end::integer as bin_id
from placed as r
left join score_cells as c
    on r.version_id = c.version_id and r.cell = c.cell;
