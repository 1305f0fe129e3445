-- The code of every prediction that counts, by its place in the files.
-- grain: file_id, file_row_number
-- inputs: prediction_rows
select
    file_id,
    file_row_number,
    code
from prediction_rows;
