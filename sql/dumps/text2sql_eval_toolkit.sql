-- Benchmarks of text2sql-eval-toolkit: sql lists the accepted queries, and the first counts. The
-- predictions beside them are read as jsonl, one corpus per model.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    coalesce(id, question_id) as id,
    "sql" ->> if(json_type("sql") = 'ARRAY', '$[0]', '$') as raw_sql,
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
