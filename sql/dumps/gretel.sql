-- Gretel's synthetic_text_to_sql as JSON. Each row has its own schema; its domain is not a
-- database.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    "sql" as raw_sql,
    null as db_id,
    sql_prompt as question
from read_json(
    $paths,
    columns = {"sql": 'varchar', sql_prompt: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
