-- sql-create-context as Parquet. Empty rows supply the columns that a file lacks.
-- parameters: paths
with rows as (
    select null::varchar as answer, null::varchar as question
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as ordinal,
    answer as raw_sql,
    null as db_id,
    question
from rows
