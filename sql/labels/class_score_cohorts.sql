-- Rows of class_score_cohorts: labels that became known on each day, by prediction day, class and bin of that class's score.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, scored_class, bin_id
-- inputs: class_pairs, versions
-- parameters: $grid_lower, $grid_upper, $grid_cells: the logit grid of probabilities
-- nulls: a class without a score, or whose score is not a number, has no row
with scored as (
    select
        known_on,
        prediction_on,
        version_id,
        deployment,
        segment,
        predicted_class,
        label_class,
        weight,
        unnest(map_keys(class_scores)) as scored_class,
        unnest(map_values(class_scores)) as score
    from class_pairs
),

placed as (
    select
        * exclude (score),
        grid_cell(score, 'logit', 1.0, $grid_lower, $grid_upper, $grid_cells) as cell
    from scored
),

binned as (
    select
        known_on,
        prediction_on,
        version_id,
        deployment,
        segment,
        scored_class,
        case
            when cell < 0 then 1
            when cell >= $grid_cells then 2
            else cell + 3
        end::integer as bin_id,
        coalesce(sum(weight) filter (where label_class = scored_class), 0)::bigint as positive_count,
        coalesce(sum(weight) filter (where label_class <> scored_class), 0)::bigint as negative_count,
        coalesce(
            sum(weight) filter (where label_class = scored_class and predicted_class = scored_class), 0
        )::bigint as right_count,
        coalesce(
            sum(weight) filter (where label_class <> scored_class and predicted_class = scored_class), 0
        )::bigint as wrong_count
    from placed
    where cell is not null
    group by known_on, prediction_on, version_id, deployment, segment, scored_class, bin_id
)

select
    b.known_on as dt,
    b.prediction_on,
    v.model_id,
    v.model_version,
    b.deployment,
    b.segment,
    b.scored_class,
    b.bin_id,
    b.positive_count,
    b.negative_count,
    b.right_count,
    b.wrong_count
from binned as b
inner join versions as v
    on b.version_id = v.version_id
    -- telemetry may contain scores of the classes of other models
    and list_contains(v.classes, b.scored_class)
order by b.known_on, b.prediction_on, v.model_id, v.model_version, b.deployment, b.segment, b.scored_class, b.bin_id;
