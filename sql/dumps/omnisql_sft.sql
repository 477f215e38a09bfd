-- Training or evaluation examples of OmniSQL as JSON or Parquet: the SQL is in output_seq, often after
-- thoughts. omnisql_predictions reads the answers that a model generated beside them.
-- parameters: none
with examples as (
    select
        place,
        unnest(from_json(
            object,
            '{
                "input_seq": "VARCHAR", "output_seq": "VARCHAR", "question": "VARCHAR",
                "db_id": "VARCHAR", "question_id": "VARCHAR", "id": "VARCHAR"
            }'
        ))
    from dump_objects
)

select
    place - 1 as ordinal,
    coalesce(question_id, id) as id,
    output_seq as raw_sql,
    db_id,
    coalesce(question, input_seq) as question
from examples
