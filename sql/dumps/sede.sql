-- SEDE: one object per line. All queries are for one database, the Stack Exchange Data Explorer.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    "QueryBody" as raw_sql,
    null as db_id,
    "Title" as question
from read_json(
    $paths,
    columns = {"QueryBody": 'varchar', "Title": 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
