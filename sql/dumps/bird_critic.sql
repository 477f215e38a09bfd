-- Tasks of BIRD-CRITIC, LiveSQLBench and BIRD-Interact with their solutions: query is the question.
-- The statements of a solution run one after the other, and are one text. A follow-up of
-- BIRD-Interact is a question of its own. The dialect, or the start of the id, may name the database
-- system. bird_critic_predictions reads the answers.
-- parameters: paths
with tasks as (
    select
        row_number() over () as place,
        coalesce(selected_database, db_id) as db_id,
        lower(coalesce("dialect", instance_id)) as system,
        [{id: instance_id, question: coalesce(query, amb_user_query), solution: sol_sql}]
        || if(
            json_type(follow_up) = 'OBJECT',
            [{
                id: instance_id || '/follow_up',
                question: follow_up ->> '$.query',
                solution: follow_up -> '$.sol_sql'
            }],
            []
        ) as turns
    from read_json(
        $paths,
        columns = {
            instance_id: 'varchar',
            selected_database: 'varchar',
            db_id: 'varchar',
            "dialect": 'varchar',
            query: 'varchar',
            amb_user_query: 'varchar',
            sol_sql: 'json',
            follow_up: 'json'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

turns as (
    select
        place,
        generate_subscripts(turns, 1) as turn_place,
        db_id,
        system,
        unnest(turns) as turn
    from tasks
),

solutions as (
    select
        row_number() over (order by place, turn_place) - 1 as ordinal,
        db_id,
        system,
        turn,
        list_filter(
            if(
                json_type(turn.solution) = 'VARCHAR',
                regexp_split_to_array(turn.solution ->> '$', '\[split\]'),
                from_json(turn.solution, '["VARCHAR"]')
            ),
            lambda statement: trim(statement, e' \t\r\n;') != ''
        ) as statements
    from turns
)

select
    ordinal,
    turn.id as id,
    -- A comment at the end of a statement must not hide the semicolon.
    if(
        len(statements) > 1,
        array_to_string(
            list_transform(
                statements,
                lambda statement: rtrim(statement, e' \t\r\n;')
                || if(regexp_matches(statement, '--[^\n]*$'), chr(10), '')
            ),
            ';' || chr(10)
        ),
        statements[1]
    ) as raw_sql,
    db_id,
    turn.question as question,
    case
        when regexp_matches(system, '^postgres') then 'postgres'
        when regexp_matches(system, '^(sql ?server|mssql)') then 'tsql'
        else nullif(regexp_extract(system, '^(mysql|oracle|bigquery|sqlite|snowflake)', 1), '')
    end as dialect
from solutions
