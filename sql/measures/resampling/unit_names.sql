-- The units of sample_units, in the order of their numbers.
-- parameters: none
select distinct unit
from sample_units
order by unit
