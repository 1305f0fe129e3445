-- Text of a UUID that is stored as its 16 bytes.
create or replace temp macro uuid_text(x) as
    regexp_replace(lower(hex(x)), '^(.{8})(.{4})(.{4})(.{4})(.{12})$', '\1-\2-\3-\4-\5');
