-- The ceiling of each target: the alignment that another sample of it would reach.
-- parameters: none
select
    target,
    ceiling,
    unit,
    n_units
from ceilings
order by rowid
