-- Rows of a Parquet dump with all their columns, as JSON, numbered as when they were ingested.
-- parameters: ordinals, paths
with rows as (
    select
        row_number() over () - 1 as ordinal,
        dump
    from read_parquet($paths, hive_partitioning = false) as dump
)

select
    ordinal,
    to_json(dump)::varchar as record
from rows
where ordinal in (select unnest($ordinals::bigint[]))
