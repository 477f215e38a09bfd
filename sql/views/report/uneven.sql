-- The pairs in which one corpus parses much less than the other.
-- parameters: none
select
    source,
    target
from alignment
where is_unevenly_parsed
order by source, target
