-- Chats for fine-tuning as Parquet, as in chat.sql. Empty rows supply the columns that a file
-- lacks.
-- parameters: paths
with chats as (
    select
        null as messages,
        null as conversations,
        null::varchar as db_id,
        null::varchar as custom_id,
        null::varchar as question_id,
        null::varchar as instance_id,
        null::varchar as doc_id,
        null::varchar as sample_id,
        null::varchar as task_id,
        null::varchar as id
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
),

rows as (
    select
        row_number() over () - 1 as ordinal,
        coalesce(to_json(messages), to_json(conversations)) as turns,
        db_id,
        coalesce(custom_id, question_id, instance_id, doc_id, sample_id, task_id, id) as id
    from chats
),

turns as (
    select
        ordinal,
        db_id,
        id,
        list_transform(
            from_json(turns, '[{"role": "VARCHAR", "from": "VARCHAR", "content": "JSON", "value": "JSON"}]'),
            lambda turn: {
                role: lower(coalesce(turn.role, turn."from")),
                content: coalesce(turn.content, turn.value)
            }
        ) as turns
    from rows
),

ends as (
    select
        ordinal,
        db_id,
        id,
        list_filter(turns, lambda turn: turn.role in ('assistant', 'gpt', 'model', 'chatgpt', 'bot'))[-1].content
            as answer,
        list_filter(turns, lambda turn: turn.role in ('user', 'human'))[-1].content as question
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
    ) as question,
    id
from ends
