-- Number of texts of one corpus that differ from the raw text in the dump.
-- parameters: queries
select count(*)
from read_parquet($queries)
where "sql" != coalesce(raw_sql, '')
