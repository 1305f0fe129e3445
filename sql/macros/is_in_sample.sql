-- Whether a prediction is in the sample of its model: the first 32 bits of the md5 of its correlation id, as a share of
-- 2^32, are below the rate. The sample of a smaller rate is part of the sample of a larger rate. A prediction without an id is in the sample only at rate 1.
create or replace temp macro is_in_sample(correlation_id, sampling_rate) as
    case
        when sampling_rate >= 1 then true
        else coalesce(('0x' || left(md5(correlation_id), 8))::ubigint < sampling_rate * 4294967296, false)
    end;
