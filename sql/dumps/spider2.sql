-- Spider 2: gold queries in files named by instance, with questions from the JSON lines beside
-- them. A file whose name matches no instance is a query without a question.
-- parameters: jsonl_paths, sql_names, sql_paths
with queries as (
    select
        row_number() over () - 1 as ordinal,
        content as raw_sql,
        regexp_replace($sql_names[row_number() over ()], '\.sql$', '') as instance_id
    from read_text($sql_paths)
),

instances as (
    select
        instance_id,
        any_value(coalesce(db, db_id)) as db_id,
        any_value(coalesce(question, instruction)) as question
    from read_json(
        $jsonl_paths,
        columns = {
            instance_id: 'varchar',
            db: 'varchar',
            db_id: 'varchar',
            question: 'varchar',
            instruction: 'varchar'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
    group by instance_id
)

select
    queries.ordinal,
    queries.raw_sql,
    instances.db_id,
    instances.question,
    queries.instance_id as id
from queries
left join instances using (instance_id)
