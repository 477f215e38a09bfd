-- One query a line, as prediction files have it. An empty line is a query too: the answer to one
-- question is missing there, and the next ones keep their place.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    piece as raw_sql,
    null as db_id,
    null as question
from read_parquet($paths, hive_partitioning = false)
