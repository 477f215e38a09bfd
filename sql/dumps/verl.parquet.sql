-- Training examples of verl as Parquet, as in verl.sql. Empty rows supply the columns that a file
-- lacks.
-- parameters: paths
with rows as (
    select
        null as prompt,
        null as response,
        null as reward_model,
        null as reward_spec,
        null as extra_info,
        null::varchar as db_id,
        null::varchar as question_id
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
),

examples as (
    select
        coalesce(
            to_json(reward_model) -> '$.ground_truth', to_json(reward_spec) -> '$.ground_truth', to_json(response)
        ) as truth,
        to_json(prompt) as prompt,
        to_json(extra_info) as extra_info,
        db_id,
        question_id
    from rows
),

truths as (
    select
        -- Some files store the truth as the text of an object.
        if(
            json_type(truth) = 'VARCHAR' and (truth ->> '$') like '{%' and json_valid(truth ->> '$'),
            (truth ->> '$')::json,
            truth
        ) as truth,
        list_filter(
            from_json(
                if(json_type(prompt) = 'VARCHAR', json_array(json_object('role', 'user', 'content', prompt)), prompt),
                '[{"role": "VARCHAR", "content": "JSON"}]'
            ),
            lambda turn: turn.role = 'user'
        )[-1].content as question,
        extra_info,
        db_id,
        question_id
    from examples
)

select
    row_number() over () - 1 as ordinal,
    coalesce(question_id, extra_info ->> '$.index') as id,
    case json_type(truth)
        when 'OBJECT' then coalesce(truth ->> '$.sql', truth ->> '$.query')
        when 'ARRAY' then truth ->> '$[0]'
        else truth ->> '$'
    end as raw_sql,
    if(json_type(truth) = 'ARRAY', from_json(truth, '["VARCHAR"]'), null) as answers,
    coalesce(db_id, truth ->> '$.db_id', extra_info ->> '$.db_id') as db_id,
    if(json_type(question) = 'ARRAY', array_to_string(question ->> '$[*].text', ''), question ->> '$') as question
from truths
