-- Chats for fine-tuning as JSON or Parquet: messages with role and content, or ShareGPT's
-- conversations with from and value. The SQL is in the assistant's last turn, the question in the
-- user's last turn.
-- parameters: none
with rows as (
    select
        place,
        unnest(from_json(
            object,
            '{
                "messages": "JSON", "conversations": "JSON", "db_id": "VARCHAR",
                "custom_id": "VARCHAR", "question_id": "VARCHAR", "instance_id": "VARCHAR",
                "doc_id": "VARCHAR", "sample_id": "VARCHAR", "task_id": "VARCHAR", "id": "VARCHAR"
            }'
        ))
    from dump_objects
),

chats as (
    select
        place,
        db_id,
        coalesce(custom_id, question_id, instance_id, doc_id, sample_id, task_id, id) as id,
        read_messages(coalesce(messages, conversations), null) as messages
    from rows
)

select
    place - 1 as ordinal,
    last_text(messages, ['assistant', 'gpt', 'model', 'chatgpt', 'bot']) as raw_sql,
    db_id,
    last_text(messages, ['user', 'human']) as question,
    id
from chats
