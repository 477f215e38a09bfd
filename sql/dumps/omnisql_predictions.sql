-- Predictions of OmniSQL's scripts: several answers to a question, the SQL in pred_sqls, the whole
-- texts in responses. omnisql_sft reads the references.
-- parameters: paths
with rows as (
    select
        row_number() over () - 1 as ordinal,
        coalesce(from_json(pred_sqls, '["VARCHAR"]'), from_json(responses, '["VARCHAR"]')) as answers,
        coalesce(question_id, id) as id,
        db_id,
        coalesce(question, input_seq) as question
    from read_json(
        $paths,
        columns = {
            pred_sqls: 'json',
            responses: 'json',
            input_seq: 'varchar',
            question: 'varchar',
            db_id: 'varchar',
            question_id: 'varchar',
            id: 'varchar'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
)

select
    ordinal,
    id,
    answers[1] as raw_sql,
    answers,
    db_id,
    question
from rows
