-- Output of a batch of Gemini or Vertex AI, with a response in each line. Thoughts are not read. The
-- SQL of a function call follows the text. A failed request is an answer without a text.
-- parameters: none
with lines as (
    select
        place - 1 as ordinal,
        coalesce(object ->> '$.key', object ->> '$.custom_id', object ->> '$.id') as id,
        object ->> '$.request.contents[#-1].parts[0].text' as question,
        coalesce(
            from_json(
                object -> '$.response.candidates',
                '[{"content": {"parts": [{"text": "VARCHAR", "thought": "BOOLEAN", "functionCall": "JSON"}]}}]'
            ),
            [null]
        ) as candidates
    from dump_objects
),

answers as (
    select
        ordinal,
        id,
        question,
        list_transform(
            candidates,
            lambda candidate: add_call(
                array_to_string(
                    [part."text" for part in candidate.content.parts if not coalesce(part.thought, false)], ''
                ),
                last_call_sql([part.functioncall ->> '$.args' for part in candidate.content.parts])
            )
        ) as answers
    from lines
)

select
    ordinal,
    id,
    answers[1] as raw_sql,
    answers,
    null as db_id,
    question
from answers
