-- How many different values did the columns of telemetry.high_cardinality have in a period? A row per column.
--   from distinct_between('flight_delay', 'v2', date '2013-12-01', date '2013-12-28')
-- model, version, from_day, to_day: the period; deployment_name and segment_name narrow it ('production', 'all')
-- The registers of the days are merged, so a value that occurs on many days counts once; distinct_estimate must be loaded, too.
create or replace temp macro distinct_between(
    model, version, from_day, to_day, deployment_name := 'production', segment_name := 'all'
) as table
    with days as (
        select
            column_name,
            row_count,
            missing_count,
            registers
        from distinct_profile
        where
            model_id = model
            and model_version = version
            and deployment = deployment_name
            and segment = segment_name
            and dt between from_day and to_day
    ),

    entries as (
        select
            column_name,
            unnest(registers) as entry
        from days
    ),

    merged as (
        select
            column_name,
            entry // 64 as register,
            max(entry % 64) as register_rank
        from entries
        group by column_name, entry // 64
    ),

    estimates as (
        select
            column_name,
            distinct_estimate(count(*), sum(pow(2.0, -register_rank))) as distinct_count
        from merged
        group by column_name
    ),

    sizes as (
        select
            column_name,
            sum(row_count)::bigint as row_count,
            sum(missing_count)::bigint as missing_count
        from days
        group by column_name
    )

    select
        s.column_name,
        s.row_count,
        s.missing_count,
        coalesce(e.distinct_count, 0) as distinct_count
    from sizes as s
    left join estimates as e on s.column_name = e.column_name
    order by s.column_name;
