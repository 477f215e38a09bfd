-- Counts of the rows in view all_rows: the rows that a format leaves out, by reason, and the others,
-- by the dialect that the dump states for them. Of the others, n_odd_frequencies have a frequency that is not a number.
-- A format may lack these columns. Expects the macros of number_macros.
-- parameters: none
with rows as (
    select
        null::varchar as left_out,
        null::varchar as dialect,
        null::varchar as n_occurrences
    where false
    union all by name
    from all_rows
)

select
    left_out,
    if(left_out is null, dialect, null) as dialect,
    count(*) as n_rows,
    count(*) filter (
        left_out is null
        and regexp_matches(n_occurrences, '\S')
        and try_cast(plain_number(n_occurrences) as bigint) is null
    ) as n_odd_frequencies
from rows
group by all
order by n_rows desc, left_out, dialect
