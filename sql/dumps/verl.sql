-- Training examples of verl as JSON or Parquet: a prompt with the truth of its reward, which is
-- SQL, an object with SQL, or a list whose first item counts; or a prompt with a response.
-- verl_predictions reads the answers that a model generated beside them.
-- parameters: none
with examples as (
    select
        place,
        unnest(from_json(
            object,
            '{
                "prompt": "JSON", "response": "JSON", "reward_model": "JSON", "reward_spec": "JSON",
                "extra_info": "JSON", "db_id": "VARCHAR", "question_id": "VARCHAR"
            }'
        ))
    from dump_objects
),

truths as (
    select
        *,
        coalesce(reward_model -> '$.ground_truth', reward_spec -> '$.ground_truth', response) as given,
        -- Some files store the truth as the text of an object.
        if(
            json_type(given) = 'VARCHAR' and (given ->> '$') like '{%' and json_valid(given ->> '$'),
            (given ->> '$')::json,
            given
        ) as truth
    from examples
)

select
    place - 1 as ordinal,
    coalesce(question_id, extra_info ->> '$.index') as id,
    case json_type(truth)
        when 'OBJECT' then coalesce(truth ->> '$.sql', truth ->> '$.query')
        when 'ARRAY' then truth ->> '$[0]'
        else truth ->> '$'
    end as raw_sql,
    if(json_type(truth) = 'ARRAY', from_json(truth, '["VARCHAR"]'), null) as answers,
    coalesce(db_id, truth ->> '$.db_id', extra_info ->> '$.db_id') as db_id,
    last_text(read_messages(prompt, 'user'), ['user']) as question
from truths
