-- sql-create-context: a list of objects, or one object per line. Each has its own schema, without a
-- name.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    answer as raw_sql,
    null as db_id,
    question
from read_json(
    $paths,
    columns = {answer: 'varchar', question: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
