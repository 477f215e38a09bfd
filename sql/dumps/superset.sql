-- Superset's saved queries and virtual datasets: the YAML files of its exports, which name the
-- driver of each database beside them, or the API's pages (/api/v1/saved_query/), which contain
-- the number of all queries. Charts, and datasets that are tables, do not have SQL.
-- parameters: none
with pages as (
    select
        place,
        page_items(object, '$.result') as items,
        if(json_type(object, '$.result') = 'ARRAY', try_cast(object ->> '$.count' as bigint), null) as n_items
    from dump_objects
),

items as (
    select
        place,
        generate_subscripts(items, 1) as item_place,
        unnest(items) as item
    from pages
),

missing_items as (
    select unnest(range(least(coalesce(max(n_items), 0) - sum(len(items))::bigint, 1000000))) as item_place
    from pages
),

-- Take only the driver from an address, which may contain a password.
databases as (
    select
        object ->> '$.uuid' as database_uuid,
        any_value(object ->> '$.database_name') as database_name,
        any_value(regexp_extract(object ->> '$.sqlalchemy_uri', '^\w+')) as dialect
    from dump_objects
    where object ->> '$.sqlalchemy_uri' is not null
    group by database_uuid
),

rows as (
    select
        place,
        item_place,
        item ->> '$.sql' as raw_sql,
        item ->> '$.schema' as schema_name,
        item ->> '$.database_uuid' as database_uuid,
        item ->> '$.database.database_name' as database_name,
        coalesce(item ->> '$.label', item ->> '$.table_name', item ->> '$.slice_name') as question,
        coalesce(item ->> '$.uuid', item ->> '$.id') as id,
        case
            when json_exists(item, '$.slice_name') then 'of type chart'
            when coalesce(trim(raw_sql), '') != '' then null
            when json_exists(item, '$.table_name') then 'of type table'
            else 'without SQL'
        end as left_out
    from items
    where json_exists(item, '$.sql') or json_exists(item, '$.slice_name')
    union all by name
    select
        item_place,
        'on pages that the dump lacks' as left_out
    from missing_items
)

select
    row_number() over (order by place, item_place) - 1 as ordinal,
    raw_sql,
    coalesce(schema_name, databases.database_name, rows.database_name, database_uuid) as db_id,
    question,
    id,
    databases.dialect,
    left_out
from rows
left join databases using (database_uuid)
order by ordinal
