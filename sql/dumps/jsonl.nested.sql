-- Any JSON, read by JSON paths. With rows_column, the items of that list are the rows, in order,
-- and a value missing in a row is taken from the object around it.
-- parameters: db_id_column, frequency_column, id_column, paths, question_column, rows_column, sql_column
with objects as (
    select
        row_number() over () as place,
        object
    from read_json(
        $paths,
        columns = {object: 'json'},
        records = false,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

rows as (
    select
        place,
        object,
        if(
            $rows_column::varchar is null,
            [object],
            json_extract(object, $rows_column)::json[]
        ) as items
    from objects
),

items as (
    select
        place,
        generate_subscripts(items, 1) as item_place,
        object,
        unnest(items) as item
    from rows
)

select
    row_number() over (order by place, item_place) - 1 as ordinal,
    coalesce(json_extract_string(item, $sql_column), json_extract_string(object, $sql_column)) as raw_sql,
    coalesce(json_extract_string(item, $db_id_column), json_extract_string(object, $db_id_column)) as db_id,
    coalesce(
        json_extract_string(item, $question_column), json_extract_string(object, $question_column)
    ) as question,
    coalesce(
        json_extract_string(item, $frequency_column), json_extract_string(object, $frequency_column)
    ) as n_occurrences,
    coalesce(json_extract_string(item, $id_column), json_extract_string(object, $id_column)) as id
from items
