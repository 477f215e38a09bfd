-- Tasks of BIRD-CRITIC, LiveSQLBench and BIRD-Interact with their solutions: query is the question.
-- The statements of a solution run one after the other, and are one text. A follow-up of
-- BIRD-Interact is a question of its own. The dialect, or the start of the id, may name the database
-- system. bird_critic_predictions reads the answers.
-- parameters: none
with tasks as (
    select
        place,
        unnest(from_json(
            object,
            '{
                "instance_id": "VARCHAR", "selected_database": "VARCHAR", "db_id": "VARCHAR", "dialect": "VARCHAR",
                "query": "VARCHAR", "amb_user_query": "VARCHAR", "sol_sql": "JSON", "follow_up": "JSON"
            }'
        ))
    from dump_objects
),

turns as (
    select
        *,
        [{id: instance_id, question: coalesce(query, amb_user_query), solution: sol_sql}]
        || if(
            json_type(follow_up) = 'OBJECT',
            [{
                id: instance_id || '/follow_up',
                question: follow_up ->> '$.query',
                solution: follow_up -> '$.sol_sql'
            }],
            []
        ) as turns,
        generate_subscripts(turns, 1) as turn_place,
        unnest(turns) as turn
    from tasks
)

select
    row_number() over (order by place, turn_place) - 1 as ordinal,
    turn.id as id,
    join_statements(read_statements(turn.solution)) as raw_sql,
    coalesce(selected_database, db_id) as db_id,
    turn.question as question,
    system_dialect(coalesce("dialect", instance_id)) as dialect
from turns
