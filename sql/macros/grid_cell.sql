-- Cell of a value on the grid of its feature: null if it is missing, -1 below the grid, grid_cells or more above it.
-- A grid with the transform 'borders' has the borders of its cells, a list of cells + 1 ascending numbers.
-- The arithmetic is that of the profile kernel, operation by operation, so both give the same cell for every value.
create or replace temp macro grid_cell(value, transform, scale, lower_end, upper_end, cells, borders := null) as
    case
        when value is null or isnan(value) or transform is null then null
        when value = 'infinity'::double then cells
        when value = '-infinity'::double then -1
        -- the branches below guard the domain of ln, which raises an error instead of returning infinity
        when transform in ('log', 'logit') and value <= 0 then -1
        when transform = 'logit' and value >= 1 then cells
        when transform = 'borders' then len(list_filter(borders, lambda border: border <= value)) - 1
        -- limited before the cast, which raises an error for values that do not fit into an integer
        else greatest(-1, least(cells, floor(
            case transform
                when 'linear' then (value / scale - lower_end) / (upper_end - lower_end)
                when 'log' then (ln(value / scale) - ln(lower_end)) / (ln(upper_end) - ln(lower_end))
                when 'asinh' then (asinh(value / scale) - asinh(lower_end)) / (asinh(upper_end) - asinh(lower_end))
                when 'logit' then
                    (ln(value / (1 - value)) - ln(lower_end / (1 - lower_end)))
                    / (ln(upper_end / (1 - upper_end)) - ln(lower_end / (1 - lower_end)))
            end * cells
        )))
    end::bigint;
