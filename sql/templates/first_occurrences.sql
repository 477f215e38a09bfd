-- Where each text of a partition occurs first in its corpus, with the number of queries that have it, from the distinct
-- texts of all ranges.
-- parameters: ranges, partition
with texts as (
    select
        min(first_ordinal) as first_ordinal,
        sum(n_queries)::bigint as n_queries
    from read_parquet($ranges)
    where partition = $partition
    group by sql
)

select
    first_ordinal,
    n_queries
from texts
order by first_ordinal
