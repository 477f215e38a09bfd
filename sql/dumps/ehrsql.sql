-- EHRSQL as JSON. Questions that the database cannot answer have null as their query.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    query as raw_sql,
    db_id,
    question,
    id
from read_json(
    $paths,
    columns = {query: 'varchar', db_id: 'varchar', question: 'varchar', id: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
