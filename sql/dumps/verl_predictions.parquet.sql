-- Prompts of verl with the responses that a model generated, as Parquet. verl reads the truths. Empty
-- rows supply the columns that a file lacks.
-- parameters: paths
with rows as (
    select
        null as prompt,
        null as response,
        null as responses,
        null as reward_model,
        null as extra_info,
        null::varchar as db_id,
        null::varchar as question_id
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
),

examples as (
    select
        to_json(prompt) as prompt,
        coalesce(to_json(responses), to_json(response)) as answers,
        to_json(reward_model) as reward_model,
        to_json(extra_info) as extra_info,
        db_id,
        question_id
    from rows
),

answers as (
    select
        from_json(
            if(json_type(answers) = 'VARCHAR', json_array(answers), answers), '["VARCHAR"]'
        ) as answers,
        list_filter(
            from_json(
                if(json_type(prompt) = 'VARCHAR', json_array(json_object('role', 'user', 'content', prompt)), prompt),
                '[{"role": "VARCHAR", "content": "JSON"}]'
            ),
            lambda turn: turn.role = 'user'
        )[-1].content as question,
        extra_info,
        coalesce(db_id, reward_model ->> '$.ground_truth.db_id', extra_info ->> '$.db_id') as db_id,
        question_id
    from examples
)

select
    row_number() over () - 1 as ordinal,
    coalesce(question_id, extra_info ->> '$.index') as id,
    answers[1] as raw_sql,
    answers,
    db_id,
    if(json_type(question) = 'ARRAY', array_to_string(question ->> '$[*].text', ''), question ->> '$') as question
from answers
