-- One query per line, as in files of predictions. An empty line is a missing answer: it counts as a
-- query, so that later answers keep their places.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    piece as raw_sql,
    null as db_id,
    null as question
from read_parquet($paths, hive_partitioning = false)
