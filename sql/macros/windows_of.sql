-- Every window that ends with one of the given days: its last day and its length in days.
create or replace temp macro windows_of(first_day, last_day, windows_days) as table
    select
        d.dt,
        w.window_days
    from (select unnest(generate_series(first_day::date, last_day::date, interval 1 day))::date as dt) as d
    cross join (select unnest(windows_days::integer[]) as window_days) as w;
