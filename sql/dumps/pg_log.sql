-- PostgreSQL's log as plain text: the entries of the log, from which ingest/pg_statements takes the statements. Each
-- entry starts with the prefix that log_line_prefix sets, which may name the process and the database. Later lines of an
-- entry start with a tab. An error is followed by an entry with its statement.
-- parameters: paths
with pieces as (
    select
        row_number() over () - 1 as number,
        regexp_extract(
            piece,
            '(?s)^([^\n]*?)\b(DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT'
            || '|LOCATION|STATEMENT|BACKTRACE):  (.*)$',
            ['prefix', 'severity', 'message']
        ) as entry
    from read_parquet($paths, hive_partitioning = false)
),

entries as (
    select
        number,
        -- The process, in brackets or as a value of pid; or the session.
        coalesce(
            nullif(regexp_extract(entry.prefix, '\[(\d+)(?:-\d+)?\]', 1), ''),
            nullif(regexp_extract(entry.prefix, '\b([0-9a-f]{6,16}\.[0-9a-f]+)\b', 1), ''),
            nullif(regexp_extract(entry.prefix, '\b(?:pid|process|p)[=:] ?(\d+)', 1), ''),
            ''
        ) as session,
        coalesce(
            nullif(regexp_extract(entry.prefix, '\b(?:db|dbname|database|d)=([^\s,;:|\[\]]+)', 1), ''),
            nullif(regexp_extract(entry.prefix, '[^\s@:|]@([^\s@,;:|\[\]]+)', 1), '')
        ) as db_id,
        entry.severity as severity,
        replace(entry.message, chr(10) || chr(9), chr(10)) as message
    from pieces
    where entry.severity != ''
),

-- Separate from the entries, because a window function keeps all of its rows in memory.
owners as (
    select
        number,
        last_value(
            case
                when severity not in ('DETAIL', 'HINT', 'QUERY', 'CONTEXT', 'LOCATION', 'STATEMENT', 'BACKTRACE')
                    then severity
            end ignore nulls
        ) over (partition by session order by number) as severity
    from entries
)

select
    entries.number,
    entries.session,
    entries.db_id,
    null::varchar as command,
    owners.severity,
    case when entries.severity = 'LOG' then entries.message end as message,
    case when entries.severity = 'STATEMENT' then entries.message end as failed_sql
from entries
join owners using (number)
