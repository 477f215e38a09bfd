-- Spider as Parquet. Empty rows supply the columns that a file lacks.
-- parameters: paths
with rows as (
    select
        null::varchar as query,
        null::varchar as db_id,
        null::varchar as question,
        null::varchar as custom_id,
        null::varchar as question_id,
        null::varchar as instance_id,
        null::varchar as doc_id,
        null::varchar as sample_id,
        null::varchar as task_id,
        null::varchar as id
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as ordinal,
    query as raw_sql,
    db_id,
    question,
    coalesce(custom_id, question_id, instance_id, doc_id, sample_id, task_id, id) as id
from rows
