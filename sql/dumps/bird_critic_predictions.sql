-- Answers to the tasks of BIRD-CRITIC, LiveSQLBench and BIRD-Interact. The statements in pred_sqls run
-- one after the other, and are one answer. The dialect, or the start of the id, may name the database
-- system. bird_critic reads the solutions.
-- parameters: none
with answers as (
    select
        place,
        unnest(from_json(
            object,
            '{
                "instance_id": "VARCHAR", "selected_database": "VARCHAR", "db_id": "VARCHAR", "dialect": "VARCHAR",
                "query": "VARCHAR", "amb_user_query": "VARCHAR", "pred_sqls": "JSON"
            }'
        ))
    from dump_objects
)

select
    place - 1 as ordinal,
    instance_id as id,
    join_statements(read_statements(pred_sqls)) as raw_sql,
    coalesce(selected_database, db_id) as db_id,
    coalesce(query, amb_user_query) as question,
    system_dialect(coalesce("dialect", instance_id)) as dialect
from answers
