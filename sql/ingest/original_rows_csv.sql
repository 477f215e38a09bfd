-- Rows of a CSV dump with all their columns, as JSON, numbered as when they were ingested.
-- parameters: ordinals, paths, separator
with rows as (
    select
        row_number() over () - 1 as ordinal,
        dump
    from read_csv(
        $paths,
        header = true,
        all_varchar = true,
        delim = $separator,
        quote = '"',
        escape = '"',
        comment = '',
        skip = 0,
        max_line_size = 33554432,
        hive_partitioning = false
    ) as dump
)

select
    ordinal,
    to_json(dump)::varchar as record
from rows
where ordinal in (select unnest($ordinals::bigint[]))
