-- Text of a decimal with so many digits after the point as driftlake/maths/value_text.py writes it: without trailing zeros.
create or replace temp macro decimal_text(x, scale) as
    if(scale > 0, rtrim(rtrim(cast(x as varchar), '0'), '.'), cast(x as varchar));
