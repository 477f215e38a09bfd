-- The number of queries of each unit with each template, both by their numbers, and with each source
-- and database.
-- parameters: none
with numbered_units as (
    select unit, row_number() over (order by unit) - 1 as unit_number
    from (select distinct unit from sample_units)
)

select
    unit_number,
    template_number,
    part,
    db_id,
    n_queries
from sample_units
join numbered_units using (unit)
order by all
