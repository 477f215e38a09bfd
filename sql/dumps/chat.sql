-- Chats for fine-tuning as JSON: messages with role and content, or ShareGPT's conversations with
-- from and value. The SQL is in the assistant's last turn, the question in the user's last turn.
-- parameters: paths
with rows as (
    select
        row_number() over () - 1 as ordinal,
        coalesce(messages, conversations) as turns,
        db_id,
        coalesce(custom_id, question_id, instance_id, doc_id, sample_id, task_id, id) as id
    from read_json(
        $paths,
        columns = {
            messages: 'json',
            conversations: 'json',
            db_id: 'varchar',
            custom_id: 'varchar',
            question_id: 'varchar',
            instance_id: 'varchar',
            doc_id: 'varchar',
            sample_id: 'varchar',
            task_id: 'varchar',
            id: 'varchar'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
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
