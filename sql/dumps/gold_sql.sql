-- Gold files of Spider and BIRD: on each line a query, a tab and the database. Queries may contain
-- tabs, so the last tab counts. A line without a tab is a query without a database. Blank lines
-- separate interactions.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    regexp_replace(piece, '\t[^\t]*$', '') as raw_sql,
    nullif(trim(regexp_extract(piece, '\t([^\t]*)$', 1)), '') as db_id,
    null as question
from read_parquet($paths, hive_partitioning = false)
where regexp_matches(piece, '[^ \r]')
