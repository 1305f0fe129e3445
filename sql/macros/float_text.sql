-- Text of a float, as in driftlake/maths/value_text.py: whole numbers have no decimals, nan is missing.
create or replace temp macro float_text(x) as
    case
        when isnan(x) then null
        when x = trunc(x) and abs(x) < 1e38 then cast(cast(x as hugeint) as varchar)
        else cast(x as varchar)
    end;
