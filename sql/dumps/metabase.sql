-- Metabase's cards: the API's list (/api/card), rows of its table report_card, or the YAML files of
-- its serialization, which name the kind of each database beside them. A query is in native.query,
-- or since version 0.57 in the first stage. Cards of the query editor do not have SQL.
-- parameters: none
with pages as (
    select
        place,
        page_items(object, '$.data') as items
    from dump_objects
),

items as (
    select
        place,
        generate_subscripts(items, 1) as item_place,
        unnest(items) as item
    from pages
),

databases as (
    select
        object ->> '$.name' as db_id,
        any_value(object ->> '$.engine') as dialect
    from dump_objects
    where object ->> '$.engine' is not null
    group by db_id
),

cards as (
    select
        place,
        item_place,
        item,
        -- The table stores the query as text.
        if(
            json_type(item, '$.dataset_query') = 'VARCHAR',
            try_cast(item ->> '$.dataset_query' as json),
            item -> '$.dataset_query'
        ) as dataset_query,
        list_filter(
            from_json(dataset_query -> '$.stages', '["json"]'),
            lambda stage: json_exists(stage, '$.native')
        )[1] -> '$.native' as native_stage,
        coalesce(native_stage, dataset_query -> '$.native') as native
    from items
    where json_exists(item, '$.dataset_query')
),

rows as (
    select
        place,
        item_place,
        if(json_type(native) = 'VARCHAR', native ->> '$', native ->> '$.query') as raw_sql,
        dataset_query ->> '$.database' as db_id,
        item ->> '$.name' as question,
        coalesce(item ->> '$.id', item ->> '$.entity_id') as id,
        case
            when item ->> '$.archived' = 'true' then 'archived'
            when json_exists(native, '$.collection') then 'of MongoDB'
            when raw_sql is null then 'without SQL, made in the query editor'
        end as left_out
    from cards
)

select
    row_number() over (order by place, item_place) - 1 as ordinal,
    raw_sql,
    db_id,
    question,
    id,
    databases.dialect,
    left_out
from rows
left join databases using (db_id)
order by ordinal
