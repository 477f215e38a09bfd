-- The units of sample_units, in their order: a unit's number is its place.
-- parameters: none
select distinct unit
from sample_units
order by unit
