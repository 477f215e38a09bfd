-- PostgreSQL's pg_stat_statements as CSV: one normalized query per row, which counts as often as it
-- was called. The database is datname if the rows are joined with pg_database, else the number
-- dbid. Empty rows supply the columns that a file lacks.
-- parameters: paths, separator
with rows as (
    select null::varchar as query, null::varchar as datname, null::varchar as dbid, null::varchar as calls
    where false
    union all by name
    from read_csv(
        $paths,
        header = true,
        all_varchar = true,
        delim = $separator,
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
