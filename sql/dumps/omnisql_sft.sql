-- Training or evaluation examples of OmniSQL: the SQL is in output_seq, often after thoughts.
-- omnisql_predictions reads the answers that a model generated beside them.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    coalesce(question_id, id) as id,
    output_seq as raw_sql,
    db_id,
    coalesce(question, input_seq) as question
from read_json(
    $paths,
    columns = {
        input_seq: 'varchar',
        output_seq: 'varchar',
        question: 'varchar',
        db_id: 'varchar',
        question_id: 'varchar',
        id: 'varchar'
    },
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
