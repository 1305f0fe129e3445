-- Fills class_pairs: labels of multiclass models with their predictions, over all rows and in each segment.
-- grain: a pair of label_pairs and a segment that its prediction is in
-- inputs: label_pairs, versions, counted_segments
-- parameters: $first_day, $last_day
-- nulls: a prediction without predicted_class has the class (missing)
create or replace table class_pairs as
with memberships as (
    select
        p.known_on,
        p.prediction_on,
        p.version_id,
        v.model_id,
        v.model_version,
        p.deployment,
        coalesce(p.predicted_class, '(missing)') as predicted_class,
        p.label_class,
        p.weight,
        p.class_scores,
        unnest(list_prepend('all', p.segments)) as segment
    from label_pairs as p
    inner join versions as v on p.version_id = v.version_id
    where
        v.task = 'multiclass'
        and p.known_on between $first_day and $last_day
        and p.weight <> 0
        and p.is_sampled
)

select
    m.* exclude (segment),
    counted_segment(m.segment, s.segment) as segment
from memberships as m
left join counted_segments as s
    on m.prediction_on = s.dt
    and m.model_id = s.model_id
    and m.model_version = s.model_version
    and m.deployment = s.deployment
    and m.segment = s.segment;
