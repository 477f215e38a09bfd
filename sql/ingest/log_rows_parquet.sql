-- The rows of a Parquet file as maps from names in lower case to texts. Expects the macros of log_rows_macros.
-- parameters: paths
with rows as (
    select *
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as number,
    lower_keys(from_json(to_json(rows), '"map(varchar, varchar)"')) as fields
from rows
