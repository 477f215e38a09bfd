-- Snowflake's QUERY_HISTORY as JSON, with keys in upper or lower case. Rows without a query text
-- are skipped.
-- parameters: paths
with rows as (
    select
        coalesce(fields['QUERY_TEXT'], fields['query_text']) as raw_sql,
        coalesce(fields['DATABASE_NAME'], fields['database_name']) as db_id
    from read_json(
        $paths,
        columns = {fields: 'map(varchar, varchar)'},
        records = false,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
)

select
    row_number() over () - 1 as ordinal,
    raw_sql,
    db_id,
    null as question
from rows
where raw_sql is not null
