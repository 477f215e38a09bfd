-- How many texts of one corpus are not templated as they stand in the dump.
-- parameters: queries
select count(*)
from read_parquet($queries)
where "sql" != coalesce(raw_sql, '')
