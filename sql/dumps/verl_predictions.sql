-- Prompts of verl with the responses that a model generated. verl reads the truths.
-- parameters: paths
with examples as (
    select
        *,
        coalesce(responses, response) as answers
    from read_json(
        $paths,
        columns = {
            prompt: 'json',
            response: 'json',
            responses: 'json',
            reward_model: 'json',
            extra_info: 'json',
            db_id: 'varchar',
            question_id: 'varchar'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
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
