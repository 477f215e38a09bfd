-- NSText2SQL: one object per line. The instruction contains a schema, and ends with the question as
-- a comment.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    output as raw_sql,
    null as db_id,
    nullif(trim(regexp_extract(instruction, '(?:^|\n)--([^\n]*)\s*$', 1)), '') as question
from read_json(
    $paths,
    columns = {instruction: 'varchar', output: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
