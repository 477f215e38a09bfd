-- Prompts with completions, or with chosen and rejected answers, in TRL's layouts: texts or messages.
-- The completion or the chosen answer is read. A completion whose label is false is a bad example,
-- and is left out.
-- parameters: paths
with examples as (
    select
        coalesce(completion, chosen) as answer,
        coalesce(prompt, if(json_type(chosen) = 'ARRAY', chosen, null)) as question,
        db_id,
        if(lower("label") = 'false', 'labeled as bad', null) as left_out
    from read_json(
        $paths,
        columns = {prompt: 'json', completion: 'json', chosen: 'json', "label": 'varchar', db_id: 'varchar'},
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

turns as (
    select
        db_id,
        left_out,
        list_filter(
            from_json(
                case json_type(answer)
                    when 'VARCHAR' then json_array(json_object('role', 'assistant', 'content', answer))
                    when 'OBJECT' then json_array(answer)
                    else answer
                end,
                '[{"role": "VARCHAR", "from": "VARCHAR", "content": "JSON", "value": "JSON"}]'
            ),
            lambda turn: lower(coalesce(turn.role, turn."from")) in ('assistant', 'gpt', 'model')
        )[-1] as answer,
        list_filter(
            from_json(
                if(
                    json_type(question) = 'VARCHAR',
                    json_array(json_object('role', 'user', 'content', question)),
                    question
                ),
                '[{"role": "VARCHAR", "from": "VARCHAR", "content": "JSON", "value": "JSON"}]'
            ),
            lambda turn: lower(coalesce(turn.role, turn."from")) in ('user', 'human')
        )[-1] as question
    from examples
),

contents as (
    select
        db_id,
        left_out,
        coalesce(answer.content, answer."value") as answer,
        coalesce(question.content, question."value") as question
    from turns
)

select
    row_number() over () - 1 as ordinal,
    if(json_type(answer) = 'ARRAY', array_to_string(answer ->> '$[*].text', ''), answer ->> '$') as raw_sql,
    db_id,
    if(json_type(question) = 'ARRAY', array_to_string(question ->> '$[*].text', ''), question ->> '$') as question,
    left_out
from contents
