-- Spider as JSON: a list of objects, or one object per line.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    query as raw_sql,
    db_id,
    question,
    coalesce(custom_id, question_id, instance_id, doc_id, sample_id, task_id, id) as id
from read_json(
    $paths,
    columns = {
        query: 'varchar',
        db_id: 'varchar',
        question: 'varchar',
        custom_id: 'varchar',
        question_id: 'varchar',
        instance_id: 'varchar',
        doc_id: 'varchar',
        sample_id: 'varchar',
        task_id: 'varchar',
        id: 'varchar'
    },
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
