-- Training examples in TRL's layouts as Parquet, as in trl.sql. Empty rows supply the columns that a
-- file lacks.
-- parameters: paths
with rows as (
    select null as prompt, null as completion, null as chosen, null as "label", null::varchar as db_id
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
),

examples as (
    select
        coalesce(to_json(completion), to_json(chosen)) as answer,
        coalesce(to_json(prompt), if(json_type(to_json(chosen)) = 'ARRAY', to_json(chosen), null)) as question,
        db_id,
        if(lower("label"::varchar) = 'false', 'labeled as bad', null) as left_out
    from rows
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
