-- Spider's and BIRD's gold files: one query a line, a tab, the database. Queries may hold tabs of their
-- own, so the last one counts; a line without a tab is a query of no known database.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    regexp_replace(piece, '\t[^\t]*$', '') as raw_sql,
    nullif(trim(regexp_extract(piece, '\t([^\t]*)$', 1)), '') as db_id,
    null as question
from read_parquet($paths, hive_partitioning = false)
