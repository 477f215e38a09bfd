-- BIRD as JSON: a list of objects, or one object per line.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    "SQL" as raw_sql,
    db_id,
    question
from read_json(
    $paths,
    columns = {"SQL": 'varchar', db_id: 'varchar', question: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
