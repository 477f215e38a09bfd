-- Results of a batch of Anthropic's Messages API, also by Bedrock, or one response per line.
-- Thoughts are not read. The SQL of a tool call follows the text. A request that failed, expired, or
-- was canceled is an answer without a text.
-- parameters: none
with lines as (
    select
        place - 1 as ordinal,
        coalesce(object ->> '$.custom_id', object ->> '$.recordId') as id,
        from_json(
            coalesce(
                object -> '$.result.message.content',
                object -> '$.modelOutput.content',
                object -> '$.content'
            ),
            '[{"type": "VARCHAR", "text": "VARCHAR", "input": "JSON"}]'
        ) as blocks
    from dump_objects
),

answers as (
    select
        ordinal,
        id,
        array_to_string([block."text" for block in blocks if block.type = 'text'], '') as answer,
        [block."input" ->> '$' for block in blocks if block.type = 'tool_use'] as calls
    from lines
)

select
    ordinal,
    id,
    add_call(answer, last_call_sql(calls)) as raw_sql,
    null as db_id,
    null as question
from answers
