-- The source, template and noise of each candidate, in the order of the sources and their dumps.
-- parameters: none
select
    position,
    template_id,
    noise
from candidates
where excluded is null
order by position, ordinal
