-- Gretel's synthetic_text_to_sql as Parquet. Empty rows supply the columns that a file lacks.
-- parameters: paths
with rows as (
    select null::varchar as "sql", null::varchar as sql_prompt
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as ordinal,
    "sql" as raw_sql,
    null as db_id,
    sql_prompt as question
from rows
