-- Parts of the inputs that are not counted: files that cannot be used, and rows that break a rule of severity error.
-- grain: dt, source, path, expectation
create table if not exists quarantine (
    dt date not null, -- day of the partition
    source varchar not null, -- telemetry or labels
    path varchar not null, -- file that is left out, or that contains rows that are left out
    expectation varchar not null, -- file_is_readable, or the rule that the rows break; a row that breaks several rules is listed once
    row_count bigint, -- rows left out; null if the number of rows of the file is not known
    reason varchar not null -- why, in a sentence
);
