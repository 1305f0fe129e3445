-- Labels that became known on each day, by prediction day and score bin, as sums that can be added to those of other pairs exactly.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, bin_id
-- inputs: label_pairs, versions, score_cells, counted_segments
-- parameters: $first_day, $last_day
-- nulls: pairs without a score count in bin 0 and are in no sum; sums are null where the task has none
with placed as (
    select
        p.known_on,
        p.label,
        p.weight,
        p.prediction_on,
        p.version_id,
        p.deployment,
        p.score,
        p.segments,
        v.model_id,
        v.model_version,
        v.score_kind,
        v.task,
        v.quantile,
        v.decision_cut,
        v.grid_cells,
        grid_cell(p.score, v.grid_transform, v.grid_scale, v.grid_lower, v.grid_upper, v.grid_cells) as cell
    from label_pairs as p
    inner join versions as v on p.version_id = v.version_id
    where p.known_on between $first_day and $last_day and p.weight <> 0 and p.is_sampled
),

binned as (
    select
        p.* exclude (cell, grid_cells),
        case
            when p.cell is null then 0
            when p.cell < 0 then 1
            when p.cell >= p.grid_cells then 2
            -- every cell of a probability is a bin; only the cells of learned grids are merged, so only those are looked up
            when p.score_kind = 'probability' then p.cell + 3
            else c.bin_id
        end::integer as bin_id,
        case
            -- the score of a multiclass model is a confidence and is not compared with labels
            when p.task = 'binary' and p.score_kind = 'probability' and isfinite(p.score) then greatest(least(p.score, 1), 0)
        end as probability,
        p.task = 'binary' as is_binary,
        case when p.task = 'regression' and isfinite(p.score) then p.score - p.label end as error
    from placed as p
    left join score_cells as c
        on p.version_id = c.version_id and p.cell = c.cell
),

-- a pair counts once over all rows and once for each segment column
memberships as (
    select
        * exclude (segments),
        unnest(list_prepend('all', segments)) as segment
    from binned
),

-- values that were too rare on the day of the prediction share a segment, as when predictions were counted
segmented as (
    select
        m.* exclude (segment),
        counted_segment(m.segment, s.segment) as segment
    from memberships as m
    left join counted_segments as s
        on m.prediction_on = s.dt
        and m.model_id = s.model_id
        and m.model_version = s.model_version
        and m.deployment = s.deployment
        and m.segment = s.segment
)

select
    known_on as dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    segment,
    bin_id,
    coalesce(sum(weight) filter (where is_binary and label = 1), 0)::bigint as positive_count,
    coalesce(sum(weight) filter (where is_binary and label = 0), 0)::bigint as negative_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same;
    -- with 13 digits before the point, ten billion rows fit into the sum; larger scores add nothing
    sum(try_cast(weight * score as decimal(28, 15))) filter (where isfinite(score)) as score_sum,
    -- clipped, because one certain but wrong prediction would make the sum infinite
    sum(case
        -- greatest ignores nulls, and a label without a probability has no loss
        when probability is not null then -ln(greatest(if(label = 1, probability, 1 - probability), 1e-15)) * weight
    end::decimal(28, 15)) as log_loss_sum,
    sum((weight * pow(probability - label, 2))::decimal(28, 15)) as squared_probability_error_sum,
    -- errors have the unit of the label: squares up to 28 digits before the point, larger ones add nothing
    sum(try_cast(weight * pow(error, 2) as decimal(38, 10))) as squared_number_error_sum,
    coalesce(sum(weight) filter (where label = 1 and score >= decision_cut), 0)::bigint as true_positive_count,
    coalesce(sum(weight) filter (where label = 0 and score >= decision_cut), 0)::bigint as false_positive_count,
    coalesce(sum(weight) filter (where not is_binary), 0)::bigint as number_count,
    sum(try_cast(weight * error as decimal(38, 10))) as error_sum,
    sum(try_cast(weight * abs(error) as decimal(38, 10))) as absolute_error_sum,
    -- the loss that the quantile minimises (Koenker and Bassett 1978); of the median if none is declared
    sum(
        try_cast(
            weight * greatest(-error * coalesce(quantile, 0.5), error * (1 - coalesce(quantile, 0.5)))
            as decimal(38, 10)
        )
    ) as quantile_loss_sum
from segmented
group by known_on, prediction_on, model_id, model_version, deployment, segment, bin_id;
