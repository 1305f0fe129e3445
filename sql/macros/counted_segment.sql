-- Segment in which a prediction was counted: values that were too rare on its day share one.
-- found is the segment in counted_segments on that day, null if it has none
create or replace temp macro counted_segment(segment, found) as
    if(segment = 'all' or found is not null, segment, split_part(segment, '=', 1) || '=(other)');
