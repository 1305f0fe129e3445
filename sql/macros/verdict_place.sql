-- Place of a verdict when verdicts are listed with the worst first.
create or replace temp macro verdict_place(verdict) as
    list_position(['broken', 'harmed', 'blind', 'watch', 'well'], verdict);
