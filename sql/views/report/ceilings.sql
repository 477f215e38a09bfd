-- How well a corpus could at best be aligned with each target.
-- parameters: none
select
    target,
    ceiling,
    unit,
    n_units
from ceilings
order by rowid
