-- Results of a batch of Anthropic's Messages API, or one response per line. Thoughts are not read.
-- A response without a text gives the SQL of its tool call. A request that failed, expired, or was
-- canceled is an answer without a text.
-- parameters: none
with lines as (
    select
        place - 1 as ordinal,
        object ->> '$.custom_id' as id,
        from_json(
            coalesce(object -> '$.result.message.content', object -> '$.content'),
            '[{"type": "VARCHAR", "text": "VARCHAR", "input": "JSON"}]'
        ) as blocks
    from dump_objects
),

answers as (
    select
        ordinal,
        id,
        array_to_string([block."text" for block in blocks if block.type = 'text'], '') as answer,
        list_filter(blocks, lambda block: block.type = 'tool_use')[1]."input" as arguments
    from lines
)

select
    ordinal,
    id,
    coalesce(nullif(answer, ''), arguments ->> '$.sql', arguments ->> '$.query') as raw_sql,
    null as db_id,
    null as question
from answers
