-- SQaLe as JSON. Each query occurs once, with the first of its questions.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    "sql" as raw_sql,
    schema_id as db_id,
    json_extract_string(questions, if(json_type(questions) = 'ARRAY', '$[0]', '$')) as question
from read_json(
    $paths,
    columns = {"sql": 'varchar', schema_id: 'varchar', questions: 'json'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
