-- Chats for fine-tuning as Parquet; see chat.sql. The empty rows supply the columns that a file lacks.
-- parameters: paths
with given as (
    select null as messages, null as conversations, null::varchar as db_id
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
),

rows as (
    select
        row_number() over () - 1 as ordinal,
        coalesce(to_json(messages), to_json(conversations)) as turns,
        db_id
    from given
),

turns as (
    select
        ordinal,
        db_id,
        list_transform(
            from_json(turns, '[{"role": "VARCHAR", "from": "VARCHAR", "content": "JSON", "value": "JSON"}]'),
            lambda turn: {
                who: lower(coalesce(turn.role, turn."from")),
                said: coalesce(turn.content, turn.value)
            }
        ) as turns
    from rows
),

ends as (
    select
        ordinal,
        db_id,
        list_filter(turns, lambda turn: turn.who in ('assistant', 'gpt', 'model', 'chatgpt', 'bot'))[-1].said
            as answer,
        list_filter(turns, lambda turn: turn.who in ('user', 'human'))[-1].said as question
    from turns
)

select
    ordinal,
    if(
        json_type(answer) = 'ARRAY',
        array_to_string(answer ->> '$[*].text', ''),
        answer ->> '$'
    ) as raw_sql,
    db_id,
    if(
        json_type(question) = 'ARRAY',
        array_to_string(question ->> '$[*].text', ''),
        question ->> '$'
    ) as question
from ends
