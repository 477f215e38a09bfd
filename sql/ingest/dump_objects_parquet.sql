-- The rows of a Parquet file as JSON objects, in its order.
-- parameters: paths
select
    row_number() over () as place,
    to_json(given) as object
from read_parquet($paths, union_by_name = true, hive_partitioning = false) as given
