-- EHRSQL-2024: queries by id in the files *label.json, and their questions in the files *data.json of
-- the same folder. A question without an answer in the database has the text null as its query.
-- parameters: paths
with files as (
    select object
    from read_json(
        $paths,
        columns = {object: 'map(varchar, json)'},
        records = false,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

entries as (
    select unnest(map_entries(object)) as label
    from files
    where json_type(object['data']) is distinct from 'ARRAY'
),

labels as (
    select
        row_number() over () - 1 as ordinal,
        label.key as id,
        label.value ->> '$' as raw_sql
    from entries
),

examples as (
    select unnest(from_json(object['data'], '[{"id": "VARCHAR", "question": "VARCHAR"}]')) as example
    from files
    where json_type(object['data']) = 'ARRAY'
),

questions as (
    select
        example.id,
        any_value(example.question) as question
    from examples
    group by all
)

select
    labels.ordinal,
    labels.id,
    labels.raw_sql,
    null as db_id,
    questions.question
from labels
left join questions using (id)
