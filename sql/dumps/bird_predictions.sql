-- Predictions in BIRD's layout: one object, {"0": "SQL\t----- bird -----\tdb_id"}, with question
-- numbers as keys. The number 0 instead of a text is an answer that is not a query.
-- parameters: paths
with entries as (
    select unnest(map_entries(answers)) as entry
    from read_json(
        $paths,
        columns = {answers: 'map(varchar, varchar)'},
        records = false,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

answers as (
    select
        entry.key::bigint as ordinal,
        string_split(entry.value, chr(9) || '----- bird -----' || chr(9)) as parts
    from entries
)

select
    ordinal,
    parts[1] as raw_sql,
    parts[2] as db_id,
    null as question,
    ordinal as id
from answers
