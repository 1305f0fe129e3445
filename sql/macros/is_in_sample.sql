-- Whether a prediction is in the sample of its model: the first 32 bits of the md5 of its correlation id, as a share of
-- 2^32, are below the rate. Of two rates the smaller keeps a part of what the larger keeps. Without an id only at rate 1.
create or replace temp macro is_in_sample(correlation_id, sampling_rate) as
    case
        when sampling_rate >= 1 then true
        else coalesce(('0x' || left(md5(correlation_id), 8))::ubigint < sampling_rate * 4294967296, false)
    end;
