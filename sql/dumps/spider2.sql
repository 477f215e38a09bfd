-- Spider 2: gold queries in files named by instance, with questions from the JSON lines beside
-- them. A file whose name matches no instance is a query without a question. Ids start with the
-- database system: ga is Google Analytics on BigQuery, and local is SQLite.
-- parameters: jsonl_paths, sql_names, sql_paths
with files as (
    -- A list that is indexed in each row takes quadratic time.
    select unnest($sql_names) as name, unnest(range(len($sql_names))) as ordinal
),

texts as (
    select row_number() over () - 1 as ordinal, content
    from read_text($sql_paths)
),

queries as (
    select
        ordinal,
        texts.content as raw_sql,
        regexp_replace(files.name, '\.sql$', '') as instance_id
    from texts
    join files using (ordinal)
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
    queries.instance_id as id,
    case regexp_extract(queries.instance_id, '^(bq|ga|sf|local)(_|\d)', 1)
        when 'bq' then 'bigquery'
        when 'ga' then 'bigquery'
        when 'sf' then 'snowflake'
        when 'local' then 'sqlite'
    end as dialect
from queries
left join instances using (instance_id)
order by queries.ordinal
