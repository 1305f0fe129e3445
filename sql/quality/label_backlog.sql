-- Rows of label_backlog: predictions still without a label, by age, as of the end of each day.
-- grain: dt, model_id, model_version, deployment, segment, age_bucket
-- inputs: prediction_profile, sampling_rates, label_cohorts, training_runs
-- parameters: $first_day, $last_day, $horizon_days
-- nulls: without a declared label delay nothing is overdue; a day without a rate was counted completely
-- The declared delay is a step function: no labels are due before p50, half of them from p50 on, 95 % from p95 on, all from max on.
-- Half by p50 applies to all days together and not to each day, because labels that arrive once a week meet it. So only labels due by p95 and max can be overdue.
with days as (
    -- one day more, because growth is relative to the day before
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
        -- estimates: each sampled row stands for 1 / rate predictions
        p.sampled_count / coalesce(r.sampling_rate, 1) as prediction_count,
        coalesce(l.labelled_count, 0) / coalesce(r.sampling_rate, 1) as labelled_count,
        (p.sampled_count - coalesce(l.labelled_count, 0)) / coalesce(r.sampling_rate, 1) as outstanding_count,
        age_days >= t.label_delay_p95_days as is_due,
        -- due for less than a week: the first rows to show that labels have stopped
        is_due and age_days < t.label_delay_p95_days + 7 as is_newly_due,
        ceil(t.label_delay_p95_days)::integer as due_from_days,
        -- share of labels that may still be missing at this age
        case
            when t.label_delay_p50_days is null then null
            when age_days >= t.label_delay_max_days then 0
            when age_days >= t.label_delay_p95_days then 0.05
            when age_days >= t.label_delay_p50_days then 0.5
            else 1
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

judged as (
    select
        *,
        case
            when is_due then outstanding_count - outstanding_share * prediction_count
            when outstanding_share is not null then 0
        end as beyond_count,
        case
            -- the labels of a day may arrive in one batch, so a day counts as one draw
            when is_due then outstanding_share * (1 - outstanding_share) * prediction_count ** 2
            when outstanding_share is not null then 0
        end as variance
    from cohorts
),

aged as (
    select
        c.*,
        b.age_bucket,
        b.age_from_days
    from judged as c
    inner join buckets as b on c.age_days between b.age_from_days and b.age_to_days
    union all
    select
        c.*,
        'due' as age_bucket,
        c.due_from_days as age_from_days
    from judged as c
    where c.is_newly_due
),

bucketed as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        age_bucket,
        age_from_days,
        sum(sampled_count)::bigint as sampled_count,
        -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
        round(sum(prediction_count::decimal(38, 9)))::bigint as prediction_count,
        round(sum(labelled_count::decimal(38, 9)))::bigint as labelled_count,
        sum((outstanding_share * prediction_count)::decimal(38, 9))::double as expected_outstanding_count,
        sum(beyond_count::decimal(38, 9))::double as beyond_count,
        -- two standard deviations
        2 * sqrt(sum(variance::decimal(38, 9))::double) as noise_count
    from aged
    group by dt, model_id, model_version, deployment, segment, age_bucket, age_from_days
),

outstanding as (
    select
        *,
        prediction_count - labelled_count as outstanding_count,
        if(beyond_count < 0, 0, beyond_count) as overdue_count
    from bucketed
),

grown as (
    select
        *,
        outstanding_count - coalesce(any_value(outstanding_count) over (
            partition by model_id, model_version, deployment, segment, age_bucket
            order by dt
            -- a bucket that was empty the day before grew from zero
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
    sampled_count,
    noise_count / prediction_count as noise_share
from grown
where dt >= $first_day
order by dt, model_id, model_version, deployment, segment, age_from_days, age_bucket;
