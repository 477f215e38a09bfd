-- Redash's saved queries: the objects or the pages of its API (/api/queries). Redash shows
-- drafts only to their authors. A page contains the number of all queries.
-- parameters: none
with pages as (
    select
        place,
        page_items(object, '$.results') as items,
        if(json_type(object, '$.results') = 'ARRAY', try_cast(object ->> '$.count' as bigint), null) as n_items
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

rows as (
    select
        place,
        item_place,
        item,
        case
            when item ->> '$.is_archived' = 'true' then 'archived'
            when item ->> '$.is_draft' = 'true' then 'not published (drafts)'
        end as left_out
    from items
    union all
    select
        null as place,
        item_place,
        null as item,
        'on pages that the dump lacks' as left_out
    from missing_items
)

select
    row_number() over (order by place, item_place) - 1 as ordinal,
    item ->> '$.query' as raw_sql,
    item ->> '$.data_source_id' as db_id,
    item ->> '$.name' as question,
    item ->> '$.id' as id,
    left_out
from rows
order by ordinal
