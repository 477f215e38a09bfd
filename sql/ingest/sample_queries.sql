-- Sample of the distinct texts of one corpus: the first ones by digest, so that each run draws the
-- same sample.
-- parameters: longest, n, queries
with texts as (
    select distinct "sql"
    from read_parquet($queries)
    where trim("sql") != '' and length("sql") <= $longest
)

select "sql"
from texts
order by md5("sql"), "sql"
limit $n
