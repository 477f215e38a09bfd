-- Chats for fine-tuning as JSON or Parquet: messages with role and content, or ShareGPT's
-- conversations with from and value. The SQL is in the assistant's last turn, the question in the
-- user's last turn. Earlier answers with a query are left out, so that they are counted.
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
        read_messages(coalesce(messages, conversations), null) as turns,
        list_transform(
            list_filter(
                turns,
                lambda turn: list_contains(['assistant', 'gpt', 'model', 'chatgpt', 'bot'], turn.role)
            ),
            lambda turn: content_text(turn.content)
        ) as answers
    from rows
),

turns_with_sql as (
    select
        place,
        db_id,
        id,
        unnest(list_concat(
            [{raw_sql: answers[-1], question: last_text(turns, ['user', 'human']), left_out: null::varchar}],
            list_transform(
                list_filter(
                    answers[:-2],
                    lambda answer: regexp_matches(
                        answer, '(^|[\n`>:;])\s*(sql\s+)?(select|with)\b.*\bfrom\b', 'is'
                    )
                ),
                lambda answer: {raw_sql: answer, question: null::varchar, left_out: 'of earlier turns'}
            )
        )) as turn
    from chats
)

select
    place - 1 as ordinal,
    turn.raw_sql,
    db_id,
    turn.question,
    id,
    turn.left_out
from turns_with_sql
