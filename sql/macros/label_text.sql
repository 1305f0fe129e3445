-- A label as canonical text: whole numbers without decimals, truth values (as YAML reads them) as 1 and 0; null if it has no value.
create or replace temp macro label_text(label) as
    case lower(label)
        when 'true' then '1'
        when 'yes' then '1'
        when 'on' then '1'
        when 'false' then '0'
        when 'no' then '0'
        when 'off' then '0'
        when 'nan' then null
        when '' then null
        else regexp_replace(label, '^(-?[0-9]+)\.0+$', '\1')
    end;
