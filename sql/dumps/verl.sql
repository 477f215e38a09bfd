-- Training examples of verl: a prompt with the truth of its reward, as the SQL, an object that holds
-- it, or a list of which the first counts; or a prompt with a response. verl_predictions reads the
-- answers that a model generated beside them.
-- parameters: paths
with examples as (
    select
        coalesce(reward_model -> '$.ground_truth', reward_spec -> '$.ground_truth', response) as truth,
        prompt,
        extra_info,
        db_id,
        question_id
    from read_json(
        $paths,
        columns = {
            prompt: 'json',
            response: 'json',
            reward_model: 'json',
            reward_spec: 'json',
            extra_info: 'json',
            db_id: 'varchar',
            question_id: 'varchar'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
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
