-- BULL (FinSQL) as JSON: a list of objects, with questions in English or Chinese.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    sql_query as raw_sql,
    db_name as db_id,
    question,
    coalesce(question_id, id) as id
from read_json(
    $paths,
    columns = {
        sql_query: 'varchar',
        db_name: 'varchar',
        question: 'varchar',
        question_id: 'varchar',
        id: 'varchar'
    },
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
