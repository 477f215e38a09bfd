-- Output of a batch in OpenAI's layout (OpenAI, Azure, vLLM's run_batch), or one response per line:
-- chat completions, completions, or the Responses API. Thoughts are not read. A response without a
-- text gives the SQL of its tool call. A failed request is an answer without a text.
-- parameters: none
with lines as (
    select
        place - 1 as ordinal,
        object ->> '$.custom_id' as id,
        coalesce(object -> '$.response.body', object) as body
    from dump_objects
),

-- A response of the Responses API is one answer; completions have one answer per choice.
messages as (
    select
        ordinal,
        id,
        list_transform(
            from_json(body -> '$.choices', '["JSON"]'),
            lambda choice: {
                content: coalesce(nullif(choice -> '$.message.content', 'null'::json), choice -> '$.text'),
                arguments: choice ->> '$.message.tool_calls[0].function.arguments'
            }
        ) as choices,
        list_filter(from_json(body -> '$.output', '["JSON"]'), lambda item: (item ->> '$.type') = 'message') as output,
        list_filter(
            from_json(body -> '$.output', '["JSON"]'), lambda item: (item ->> '$.type') = 'function_call'
        )[1] ->> '$.arguments' as arguments
    from lines
),

texts as (
    select
        ordinal,
        id,
        coalesce(
            list_transform(
                choices,
                lambda choice: {
                    content: if(
                        json_type(choice.content) = 'ARRAY',
                        array_to_string(choice.content ->> '$[*].text', ''),
                        choice.content ->> '$'
                    ),
                    arguments: choice.arguments
                }
            ),
            [{
                content: array_to_string(
                    list_transform(output, lambda item: array_to_string(item ->> '$.content[*].text', '')),
                    chr(10)
                ),
                arguments: arguments
            }]
        ) as texts
    from messages
),

answers as (
    select
        ordinal,
        id,
        list_transform(
            texts,
            lambda answer: coalesce(
                nullif(answer.content, ''),
                if(
                    json_valid(answer.arguments),
                    coalesce(answer.arguments ->> '$.sql', answer.arguments ->> '$.query'),
                    null
                )
            )
        ) as answers
    from texts
)

select
    ordinal,
    id,
    answers[1] as raw_sql,
    answers,
    null as db_id,
    null as question
from answers
