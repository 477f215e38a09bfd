-- The distinct texts of one corpus, in the order in which they first occur, and how often each does.
-- parameters: queries
select
    min(ordinal) as first_ordinal,
    sql,
    sum(n_occurrences)::bigint as n_queries
from read_parquet($queries)
group by sql
order by first_ordinal
