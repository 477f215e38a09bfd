-- MIMICSQL: one object per line. All queries are for one database, MIMIC-III.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    "sql" as raw_sql,
    null as db_id,
    question_refine as question
from read_json(
    $paths,
    columns = {"sql": 'varchar', question_refine: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
