-- Prompts of verl with the responses that a model generated, as JSON or Parquet. verl reads the truths.
-- parameters: none
with examples as (
    select
        place,
        unnest(from_json(
            object,
            '{
                "prompt": "JSON", "response": "JSON", "responses": "JSON", "reward_model": "JSON",
                "extra_info": "JSON", "db_id": "VARCHAR", "question_id": "VARCHAR"
            }'
        ))
    from dump_objects
),

answered as (
    select
        *,
        coalesce(responses, response) as given,
        from_json(if(json_type(given) = 'VARCHAR', json_array(given), given), '["VARCHAR"]') as answers
    from examples
)

select
    place - 1 as ordinal,
    coalesce(question_id, extra_info ->> '$.index') as id,
    answers[1] as raw_sql,
    answers,
    coalesce(db_id, reward_model ->> '$.ground_truth.db_id', extra_info ->> '$.db_id') as db_id,
    last_text(read_messages(prompt, 'user'), ['user']) as question
from answered
