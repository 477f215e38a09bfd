-- Snowflake's QUERY_HISTORY as Parquet. Rows without a query text are skipped. Empty rows supply
-- the columns that a file lacks.
-- parameters: paths
with rows as (
    select null::varchar as query_text, null::varchar as database_name
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as ordinal,
    query_text as raw_sql,
    database_name as db_id,
    null as question
from rows
where query_text is not null
