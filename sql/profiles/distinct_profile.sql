-- Rows of distinct_profile: HyperLogLog registers of the values of a day.
-- grain: dt, model_id, model_version, deployment, segment, column_name
-- inputs: value_counts (the same and value, row_count)
-- nulls: rows without a value count as missing and not as a distinct value
with hashed as (
    select
        * exclude (value),
        md5_number_lower(value) as value_hash
    from value_counts
),

placed as (
    select
        * exclude (value_hash),
        (value_hash % 4096)::integer as register,
        -- position of the first one bit among the other 52 bits, 53 if there is none
        if(value_hash < 4096, 53, 53 - length(bin(value_hash // 4096)))::integer as register_rank
    from hashed
),

registers as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        column_name,
        register,
        max(register_rank) as register_rank,
        sum(row_count) as row_count
    from placed
    group by dt, model_id, model_version, deployment, segment, column_name, register
)

select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    column_name,
    sum(row_count)::bigint as row_count,
    coalesce(sum(row_count) filter (where register is null), 0)::bigint as missing_count,
    distinct_estimate(count(register), coalesce(sum(pow(2.0, -register_rank)), 0)) as distinct_count,
    coalesce(list(register * 64 + register_rank order by register) filter (where register is not null), []) as registers
from registers
group by dt, model_id, model_version, deployment, segment, column_name
order by dt, model_id, model_version, deployment, segment, column_name;
