-- Answers to the tasks of BIRD-CRITIC, LiveSQLBench and BIRD-Interact. The statements in pred_sqls run
-- one after the other, and are one answer. The dialect, or the start of the id, may name the database
-- system. bird_critic reads the solutions.
-- parameters: paths
with answers as (
    select
        row_number() over () - 1 as ordinal,
        instance_id,
        coalesce(selected_database, db_id) as db_id,
        lower(coalesce("dialect", instance_id)) as system,
        coalesce(query, amb_user_query) as question,
        list_filter(
            if(
                json_type(pred_sqls) = 'VARCHAR',
                regexp_split_to_array(pred_sqls ->> '$', '\[split\]'),
                from_json(pred_sqls, '["VARCHAR"]')
            ),
            lambda statement: trim(statement, e' \t\r\n;') != ''
        ) as statements
    from read_json(
        $paths,
        columns = {
            instance_id: 'varchar',
            selected_database: 'varchar',
            db_id: 'varchar',
            "dialect": 'varchar',
            query: 'varchar',
            amb_user_query: 'varchar',
            pred_sqls: 'json'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
)

select
    ordinal,
    instance_id as id,
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
    question,
    case
        when regexp_matches(system, '^postgres') then 'postgres'
        when regexp_matches(system, '^(sql ?server|mssql)') then 'tsql'
        else nullif(regexp_extract(system, '^(mysql|oracle|bigquery|sqlite|snowflake)', 1), '')
    end as dialect
from answers
