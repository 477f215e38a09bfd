-- The distinct texts of one corpus, in the order in which they first occur.
-- parameters: queries
select
    min(ordinal) as first_ordinal,
    sql
from read_parquet($queries)
group by sql
order by first_ordinal
