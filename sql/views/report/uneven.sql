-- The pairs of which one side parses much less than the other.
-- parameters: none
select
    source,
    target
from alignment
where is_unevenly_parsed
order by source, target
