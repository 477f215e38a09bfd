-- Sample of the distinct texts of one corpus: the first ones by digest, so that each run draws the
-- same sample.
-- parameters: longest, n, queries
with texts as (
    select distinct "sql"
    from read_parquet($queries)
    where trim("sql") != '' and length("sql") <= $longest
)

select
    row_number() over (order by md5("sql"), "sql") - 1 as first_ordinal,
    "sql"
from texts
order by first_ordinal
limit $n
