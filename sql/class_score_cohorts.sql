-- Rows of class_score_cohorts: what became known on each day, by prediction day, class and bin of that class's score.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, scored_class, bin_id
-- inputs: class_pairs, versions
-- parameters: $grid_lower, $grid_upper, $grid_cells: the logit grid of probabilities
-- nulls: a class without a score, or with one that is no number, has no row
with scored as (
    select
        p.* exclude (version_id, predicted_class, class_scores),
        c.scored_class,
        grid_cell(p.class_scores[c.scored_class], 'logit', 1.0, $grid_lower, $grid_upper, $grid_cells) as cell
    from class_pairs as p
    inner join (
        select
            version_id,
            unnest(classes) as scored_class
        from versions
    ) as c
        on p.version_id = c.version_id
    where p.class_scores is not null
),

binned as (
    select
        * exclude (cell),
        case
            when cell < 0 then 1
            when cell >= $grid_cells then 2
            else cell + 3
        end::integer as bin_id
    from scored
    where cell is not null
)

select
    known_on as dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    segment,
    scored_class,
    bin_id,
    count(*) filter (where label_class = scored_class) as positive_count,
    count(*) filter (where label_class <> scored_class) as negative_count
from binned
group by known_on, prediction_on, model_id, model_version, deployment, segment, scored_class, bin_id
order by known_on, prediction_on, model_id, model_version, deployment, segment, scored_class, bin_id;
