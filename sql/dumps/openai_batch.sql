-- Output of a batch in OpenAI's layout (OpenAI, Azure, vLLM's run_batch), or one response per line:
-- chat completions, completions, or the Responses API. Thoughts are not read. The SQL of a tool call
-- follows the text. A failed request is an answer without a text.
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
                calls: list_append(
                    choice ->> '$.message.tool_calls[*].function.arguments',
                    choice ->> '$.message.function_call.arguments'
                )
            }
        ) as choices,
        list_filter(from_json(body -> '$.output', '["JSON"]'), lambda item: (item ->> '$.type') = 'message') as output,
        list_transform(
            list_filter(from_json(body -> '$.output', '["JSON"]'), lambda item: (item ->> '$.type') = 'function_call'),
            lambda item: item ->> '$.arguments'
        ) as calls
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
                    calls: choice.calls
                }
            ),
            [{
                content: array_to_string(
                    list_transform(output, lambda item: array_to_string(item ->> '$.content[*].text', '')),
                    chr(10)
                ),
                calls: calls
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
            lambda answer: add_call(answer.content, last_call_sql(answer.calls))
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
