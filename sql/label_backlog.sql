-- Rows of label_backlog: predictions still without a label, by age, as of the end of each day.
-- grain: dt, model_id, model_version, deployment, segment, age_bucket
-- inputs: prediction_profile, sampling_rates, label_cohorts, training_runs
-- parameters: $first_day, $last_day, $horizon_days
-- nulls: without a promised label delay nothing is expected, so nothing is overdue; a day without a rate was counted whole
with days as (
    -- one day more than asked for, because growth compares with the day before
    select d.dt::date as dt
    from generate_series($first_day::date - interval 1 day, $last_day::date, interval 1 day) as d(dt)
),

predicted as (
    select
        dt as prediction_on,
        model_id,
        model_version,
        deployment,
        segment,
        sum(row_count) as sampled_count
    from prediction_profile
    where dt >= $first_day::date - 1 - $horizon_days and dt <= $last_day
    group by dt, model_id, model_version, deployment, segment
),

labelled as (
    select
        d.dt,
        c.prediction_on,
        c.model_id,
        c.model_version,
        c.deployment,
        c.segment,
        sum(c.positive_count + c.negative_count + coalesce(c.number_count, 0)) as labelled_count
    from days as d
    inner join label_cohorts as c
        on c.dt <= d.dt
        and c.prediction_on <= d.dt
        and c.prediction_on >= d.dt - $horizon_days
    group by d.dt, c.prediction_on, c.model_id, c.model_version, c.deployment, c.segment
),

cohorts as (
    select
        d.dt,
        p.model_id,
        p.model_version,
        p.deployment,
        p.segment,
        d.dt - p.prediction_on as age_days,
        p.sampled_count,
        -- estimates: each sampled row stands for 1 / rate of them
        p.sampled_count / coalesce(r.sampling_rate, 1) as prediction_count,
        coalesce(l.labelled_count, 0) / coalesce(r.sampling_rate, 1) as labelled_count,
        (p.sampled_count - coalesce(l.labelled_count, 0)) / coalesce(r.sampling_rate, 1) as outstanding_count,
        -- share of labels that may still be missing at this age: straight lines through the promised percentiles
        case
            when t.label_delay_p50_days is null then null
            when d.dt - p.prediction_on >= t.label_delay_max_days then 0
            when d.dt - p.prediction_on >= t.label_delay_p95_days then
                0.05 * (t.label_delay_max_days - (d.dt - p.prediction_on))
                / (t.label_delay_max_days - t.label_delay_p95_days)
            when d.dt - p.prediction_on >= t.label_delay_p50_days then
                0.05 + 0.45 * (t.label_delay_p95_days - (d.dt - p.prediction_on))
                / (t.label_delay_p95_days - t.label_delay_p50_days)
            else 1 - 0.5 * (d.dt - p.prediction_on) / t.label_delay_p50_days
        end as outstanding_share
    from days as d
    inner join predicted as p
        on p.prediction_on <= d.dt and p.prediction_on >= d.dt - $horizon_days
    left join labelled as l
        on d.dt = l.dt
        and p.prediction_on = l.prediction_on
        and p.model_id = l.model_id
        and p.model_version = l.model_version
        and p.deployment = l.deployment
        and p.segment = l.segment
    left join sampling_rates as r
        on p.prediction_on = r.dt
        and p.model_id = r.model_id
        and p.model_version = r.model_version
        and p.deployment = r.deployment
    inner join training_runs as t
        on p.model_id = t.model_id and p.model_version = t.model_version
),

buckets as (
    select *
    from (
        values
        ('all', 0, 1000000), ('0', 0, 0), ('1', 1, 1), ('2-3', 2, 3), ('4-7', 4, 7), ('8-14', 8, 14),
        ('15-28', 15, 28), ('29+', 29, 1000000)
    ) as b(age_bucket, age_from_days, age_to_days)
),

bucketed as (
    select
        c.dt,
        c.model_id,
        c.model_version,
        c.deployment,
        c.segment,
        b.age_bucket,
        b.age_from_days,
        sum(c.sampled_count)::bigint as sampled_count,
        -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
        round(sum(c.prediction_count::decimal(38, 9)))::bigint as prediction_count,
        round(sum(c.labelled_count::decimal(38, 9)))::bigint as labelled_count,
        sum((c.outstanding_share * c.prediction_count)::decimal(38, 9))::double as expected_outstanding_count,
        sum(case
            when c.outstanding_share is not null
                then greatest(c.outstanding_count - c.outstanding_share * c.prediction_count, 0)
        end::decimal(38, 9))::double as overdue_count
    from cohorts as c
    inner join buckets as b on c.age_days between b.age_from_days and b.age_to_days
    group by c.dt, c.model_id, c.model_version, c.deployment, c.segment, b.age_bucket, b.age_from_days
),

outstanding as (
    select
        *,
        prediction_count - labelled_count as outstanding_count
    from bucketed
),

grown as (
    select
        *,
        outstanding_count - coalesce(any_value(outstanding_count) over (
            partition by model_id, model_version, deployment, segment, age_bucket
            order by dt
            -- a bucket that was empty the day before grew from nothing
            range between interval 1 day preceding and interval 1 day preceding
        ), 0) as growth_count
    from outstanding
)

select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    age_bucket,
    age_from_days,
    prediction_count,
    labelled_count,
    outstanding_count,
    expected_outstanding_count,
    overdue_count,
    overdue_count / prediction_count as overdue_share,
    growth_count::bigint as growth_count,
    sampled_count
from grown
where dt >= $first_day
order by dt, model_id, model_version, deployment, segment, age_from_days, age_bucket;
