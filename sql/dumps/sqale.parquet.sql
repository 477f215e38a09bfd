-- SQaLe as Parquet. Each query occurs once, with the first of its questions. Empty rows supply the
-- columns that a file lacks.
-- parameters: paths
with rows as (
    select null::varchar as "sql", null::varchar as schema_id, null as questions
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as ordinal,
    "sql" as raw_sql,
    schema_id as db_id,
    json_extract_string(to_json(questions), if(json_type(to_json(questions)) = 'ARRAY', '$[0]', '$')) as question
from rows
