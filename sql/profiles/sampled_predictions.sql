-- The predictions of each group with the smallest hashes, by their position in the files.
-- grain: file_id, file_row_number
-- inputs: predictions, prediction_groups, duplicate_rows
-- parameters: $sample_rows
-- nulls: a prediction without correlation id is in no sample
with hashed as (
    select
        g.code,
        -- md5, which every engine has; the position of the row decides between equal ids
        min(
            struct_pack(
                row_hash := md5_number_lower(p.correlation_id),
                file_id := p.file_id,
                file_row_number := p.file_row_number
            ),
            $sample_rows
        ) as smallest
    from predictions as p
    inner join prediction_groups as g
        on p.dt = g.dt
        and p.model_id = g.model_id
        and p.model_version = g.model_version
        and coalesce(p.deployment, 'production') = g.deployment
    anti join duplicate_rows as s
        on p.file_id = s.file_id and p.file_row_number = s.file_row_number
    where p.correlation_id is not null and is_in_sample(p.correlation_id, g.sampling_rate)
    group by g.code
),

sampled as (
    select unnest(smallest) as place
    from hashed
)

select
    place.file_id,
    place.file_row_number,
    place.row_hash
from sampled
order by place.file_id, place.file_row_number;
