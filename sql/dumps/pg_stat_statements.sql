-- PostgreSQL's pg_stat_statements as CSV: a normalised query a row, which counts as often as it was called.
-- Joined with pg_database, its datname is the database; else it is the number dbid.
-- The empty rows supply the columns that a file lacks.
-- parameters: paths
with rows as (
    select null::varchar as query, null::varchar as datname, null::varchar as dbid, null::varchar as calls
    where false
    union all by name
    from read_csv(
        $paths,
        header = true,
        all_varchar = true,
        delim = ',',
        quote = '"',
        escape = '"',
        comment = '',
        skip = 0,
        max_line_size = 33554432,
        hive_partitioning = false
    )
)

select
    row_number() over () - 1 as ordinal,
    query as raw_sql,
    coalesce(datname, dbid) as db_id,
    null as question,
    calls as n_occurrences
from rows
