-- A few predictions of a day from each of the bins that grew, the same ones on every call.
-- grain: correlation_id
-- inputs: predictions (with feature_text and feature_number), grown_bins, known_categories (category, bin_id)
-- parameters: $model_id, $model_version, $deployment, $each, predictions per bin
select
    g.label as bin,
    g.growth,
    p.correlation_id,
    p.trace_id
from predictions as p
left join known_categories as k on p.feature_text = k.category
inner join grown_bins as g
    on case g.bin_kind
        when 'missing' then p.feature_text is null or coalesce(isnan(p.feature_number), false)
        when 'category' then p.feature_text = g.category
        when 'other' then k.bin_id = g.bin_id
        when 'unseen' then p.feature_text is not null and k.category is null
        when 'below' then p.feature_number < g.lowest
        when 'above' then p.feature_number >= g.highest and not isnan(p.feature_number)
        else p.feature_number >= g.lower and p.feature_number < g.upper
    end
where
    p.model_id = $model_id
    and p.model_version = $model_version
    and coalesce(p.deployment, 'production') = $deployment
    and p.correlation_id is not null
qualify row_number() over (partition by g.bin_id order by md5(p.correlation_id), p.correlation_id) <= $each
order by g.growth desc, g.bin_id, md5(p.correlation_id), p.correlation_id;
