-- BIRD as JSON: a list of objects, or one object per line.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    "SQL" as raw_sql,
    db_id,
    question,
    coalesce(question_id, id) as id
from read_json(
    $paths,
    columns = {
        "SQL": 'varchar',
        db_id: 'varchar',
        question: 'varchar',
        question_id: 'varchar',
        id: 'varchar'
    },
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
