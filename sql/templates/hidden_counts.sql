-- Counts over the texts of a corpus that its hidden queries lack.
-- parameters: queries
select
    count(*) filter (
        sql != coalesce(raw_sql, '') and reject_reason is distinct from 'cut off by its log'
    ) as n_cleaned,
    count(distinct sql) as n_distinct_queries
from read_parquet($queries)
