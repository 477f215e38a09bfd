-- Ranges of sources, by their positions, with some n_rows rows of named_contributions each, and the corpora in column
-- side. Thus the examples of all pairs are not in memory at a time.
-- parameters: n_rows
with sources as (
    select
        source_position,
        sum(count(*)) over (order by source_position) as n_rows_so_far,
        n_rows_so_far - count(*) as n_rows_before
    from named_contributions
    group by source_position
),

numbered as (
    select
        source_position,
        n_rows_before // $n_rows as range
    from sources
)

select
    min(source_position) as first,
    max(source_position) as last,
    list_sort(list(distinct side)) as sides
from named_contributions
join numbered using (source_position)
group by range
order by range
