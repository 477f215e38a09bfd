-- JSON in Alpaca's layout for fine-tuning. The SQL is in output.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    "output" as raw_sql,
    null as db_id,
    concat_ws(chr(10), instruction, nullif("input", '')) as question,
    coalesce(custom_id, question_id, instance_id, doc_id, sample_id, task_id, id) as id
from read_json(
    $paths,
    columns = {
        instruction: 'varchar',
        "input": 'varchar',
        "output": 'varchar',
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
