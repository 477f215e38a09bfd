-- Columns of a Parquet dump.
-- parameters: paths
select column_name
from (describe from read_parquet($paths, hive_partitioning = false))
