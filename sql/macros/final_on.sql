-- Day on which a label is final. The first label of a prediction is final at once. If the newest label counts, it is final when all
-- labels of its prediction day have arrived according to the lineage, or, without a declared delay, when no label can arrive any more.
create or replace temp macro final_on(known_on, prediction_on, is_latest, label_delay_max_days, horizon_days) as
    if(
        is_latest,
        greatest(
            known_on,
            prediction_on + least(coalesce(ceil(label_delay_max_days)::integer, horizon_days), horizon_days)::integer
        ),
        known_on
    );
