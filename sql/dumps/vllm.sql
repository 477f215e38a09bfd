-- Outputs of vLLM: one request per object with several texts in outputs, or the detailed result of a
-- benchmark, one object with the list generated_texts.
-- parameters: paths
with objects as (
    select
        row_number() over () as place,
        request_id,
        prompt,
        from_json(outputs, '[{"text": "VARCHAR"}]') as outputs,
        from_json(generated_texts, '["VARCHAR"]') as generated_texts
    from read_json(
        $paths,
        columns = {request_id: 'varchar', prompt: 'varchar', outputs: 'json', generated_texts: 'json'},
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

requests as (
    select
        place,
        request_id,
        prompt,
        coalesce(
            list_transform(generated_texts, lambda answer: [answer]),
            [list_transform(outputs, lambda output: output."text")]
        ) as requests
    from objects
),

answers as (
    select
        place,
        generate_subscripts(requests, 1) as request_place,
        request_id,
        prompt,
        unnest(requests) as answers
    from requests
)

select
    row_number() over (order by place, request_place) - 1 as ordinal,
    request_id as id,
    answers[1] as raw_sql,
    answers,
    null as db_id,
    prompt as question
from answers
