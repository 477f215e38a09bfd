-- Chats for fine-tuning as JSON: messages of role and content, or ShareGPT's conversations of from and
-- value. The SQL is in the last turn of the assistant, the question in the last one of the user.
-- parameters: paths
with rows as (
    select
        row_number() over () - 1 as ordinal,
        coalesce(messages, conversations) as turns,
        db_id
    from read_json(
        $paths,
        columns = {messages: 'json', conversations: 'json', db_id: 'varchar'},
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
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
