-- Snowflake's semantic models: a YAML file with the verified queries of Cortex Analyst, or the same
-- as JSON. Its tables are logical ones, named __table in the queries.
-- parameters: none
with models as (
    select
        place,
        object ->> '$.name' as db_id,
        object -> '$.verified_queries' as verified_queries
    from dump_objects
    where json_type(object, '$.verified_queries') = 'ARRAY'
),

queries as (
    select
        place,
        db_id,
        generate_subscripts(verified_queries::json[], 1) as query_place,
        unnest(verified_queries::json[]) as query
    from models
)

select
    row_number() over (order by place, query_place) - 1 as ordinal,
    query ->> '$.sql' as raw_sql,
    db_id,
    query ->> '$.question' as question,
    query ->> '$.name' as id
from queries
order by ordinal
