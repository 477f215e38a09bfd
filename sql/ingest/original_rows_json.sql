-- Rows of a JSON dump with all their keys, numbered as when they were ingested.
-- parameters: ordinals, paths
with rows as (
    select
        row_number() over () - 1 as ordinal,
        record
    from read_json(
        $paths,
        columns = {record: 'json'},
        records = false,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
)

select
    ordinal,
    record::varchar as record
from rows
where ordinal in (select unnest($ordinals::bigint[]))
