-- JSON objects as maps from names in lower case to texts: one object per line, a list of objects, or an object around
-- the object or the list, as services return it. Expects the macros of log_rows_macros.
-- parameters: paths
with objects as (
    select lower_keys(fields) as fields
    from read_json(
        $paths,
        columns = {fields: 'map(varchar, varchar)'},
        records = false,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

wrapped as (
    select
        fields,
        coalesce(
            fields['queryexecutions'],
            fields['queryexecution'],
            fields['res'],
            fields['data'],
            fields['results'],
            fields['rows']
        ) as inner_json
    from objects
),

rows as (
    select
        unnest(case
            when regexp_matches(inner_json, '^\s*\[\s*\{') then from_json(inner_json, '["map(varchar, varchar)"]')
            when regexp_matches(inner_json, '^\s*\{') then [from_json(inner_json, '"map(varchar, varchar)"')]
            else [fields]
        end) as fields
    from wrapped
)

select
    row_number() over () - 1 as number,
    lower_keys(fields) as fields
from rows
