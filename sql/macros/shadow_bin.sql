-- Bin of a score in which a candidate and production are compared, from its cell on the grid of production's score.
-- 0 missing, 1 below the grid, 2 above it; four cells of a probability are merged into one bin; other scores have the bin learned from training.
create or replace temp macro shadow_bin(cell, kind, cells, learned_bin) as
    case
        when cell is null then 0
        when cell < 0 then 1
        when cell >= cells then 2
        when kind = 'probability' then cell // 4 + 3
        else learned_bin
    end::integer;
