-- Benchmarks of text2sql-eval-toolkit: sql lists the accepted queries. The
-- predictions beside them are read as jsonl, one corpus per model.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    coalesce(id, question_id) as id,
    "sql" ->> '$' as raw_sql,
    db_id,
    coalesce(question, utterance) as question
from read_json(
    $paths,
    columns = {
        id: 'varchar',
        question_id: 'varchar',
        "sql": 'json',
        db_id: 'varchar',
        question: 'varchar',
        utterance: 'varchar'
    },
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
