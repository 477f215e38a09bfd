-- Any JSON or Parquet, read by JSON paths. With rows_column, the items of that list are the rows, in
-- order, and a value missing in a row is taken from the object around it. If rows_column ends in .*,
-- the values of that object are the rows, and their keys are the ids. A list of queries is read as its
-- text.
-- parameters: db_id_column, frequency_column, id_column, part_column, question_column, rows_column, sql_column
with rows as (
    select
        place,
        object,
        case
            when $rows_column::varchar is null then [{key: null::varchar, value: object}]
            when $rows_column like '%.*'
                then map_entries(
                    json_extract(object, regexp_replace($rows_column, '\.\*$|.*\]$', ''))::map(varchar, json)
                )
            else list_transform(
                json_extract(object, $rows_column)::json[],
                lambda item: {key: null::varchar, value: item}
            )
        end as items
    from dump_objects
),

items as (
    select
        place,
        generate_subscripts(items, 1) as item_place,
        object,
        unnest(items).key as key,
        unnest(items).value as item
    from rows
),

queries as (
    select
        *,
        if(
            $sql_column = '$',
            item,
            coalesce(nullif(json_extract(item, $sql_column), 'null'), json_extract(object, $sql_column))
        ) as query
    from items
)

select
    row_number() over () - 1 as ordinal,
    query ->> '$' as raw_sql,
    coalesce(json_extract_string(item, $db_id_column), json_extract_string(object, $db_id_column)) as db_id,
    coalesce(
        json_extract_string(item, $question_column), json_extract_string(object, $question_column)
    ) as question,
    coalesce(
        json_extract_string(item, $frequency_column), json_extract_string(object, $frequency_column)
    ) as n_occurrences,
    coalesce(
        json_extract_string(item, $id_column), json_extract_string(object, $id_column), key
    ) as id,
    coalesce(
        json_extract_string(item, $part_column), json_extract_string(object, $part_column)
    ) as part
from queries
