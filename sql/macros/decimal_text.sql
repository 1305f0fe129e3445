-- Text of a decimal with the given number of digits after the point, as in driftlake/maths/value_text.py: without trailing zeros.
create or replace temp macro decimal_text(x, scale) as
    if(scale > 0, rtrim(rtrim(cast(x as varchar), '0'), '.'), cast(x as varchar));
