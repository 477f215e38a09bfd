-- Counts of the rows in view all_rows: the rows that a format leaves out, by reason, and the others,
-- by the dialect that the dump states for them. A format may lack both columns.
-- parameters: none
with rows as (
    select
        null::varchar as left_out,
        null::varchar as dialect
    where false
    union all by name
    from all_rows
)

select
    left_out,
    if(left_out is null, dialect, null) as dialect,
    count(*) as n_rows
from rows
group by all
order by n_rows desc, left_out, dialect
