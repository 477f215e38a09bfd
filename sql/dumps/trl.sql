-- Prompts with completions, or with chosen and rejected answers, in TRL's layouts: texts or messages,
-- as JSON or Parquet. The completion or the chosen answer is read. A completion whose label is false
-- is a bad example, and is left out.
-- parameters: none
with examples as (
    select
        place,
        unnest(from_json(
            object,
            '{"prompt": "JSON", "completion": "JSON", "chosen": "JSON", "label": "VARCHAR", "db_id": "VARCHAR"}'
        ))
    from dump_objects
)

select
    place - 1 as ordinal,
    last_text(read_messages(coalesce(completion, chosen), 'assistant'), ['assistant', 'gpt', 'model']) as raw_sql,
    db_id,
    last_text(
        read_messages(coalesce(prompt, if(json_type(chosen) = 'ARRAY', chosen, null)), 'user'), ['user', 'human']
    ) as question,
    if(lower("label") = 'false', 'labeled as bad', null) as left_out
from examples
