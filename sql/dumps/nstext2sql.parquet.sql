-- NSText2SQL as Parquet. The instruction ends with the question as a comment. Empty rows supply the
-- columns that a file lacks.
-- parameters: paths
with rows as (
    select null::varchar as instruction, null::varchar as output
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as ordinal,
    output as raw_sql,
    null as db_id,
    nullif(trim(regexp_extract(instruction, '(?:^|\n)--([^\n]*)\s*$', 1)), '') as question
from rows
