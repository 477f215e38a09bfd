-- The slow query log of MySQL and MariaDB. Each entry has comment lines, then USE and SET lines written by the server,
-- then the query. The database is the last one that the log names. Comment lines may say that a query failed.
-- parameters: paths
with pieces as (
    select
        row_number() over () as number,
        place > 0 or starts_with(piece, '# Query_time:') as is_entry,
        piece
    from read_parquet($paths, hive_partitioning = false)
),

-- Each piece starts within a line with a query's times, and ends with the first comment lines of the next entry. The
-- text before the first such line is the header of the log.
parts as (
    select
        number,
        is_entry,
        regexp_extract(piece, '^[^\n]*') as times,
        regexp_replace(regexp_replace(piece, '^[^\n]*\n', ''), '(?ms)^# (?:Time|User@Host):.*$', '') as body,
        regexp_extract(piece, '(?ms)^# (?:Time|User@Host):.*$') as next_comments
    from pieces
),

statements as (
    select
        number,
        regexp_extract(body, '(?im)^(?:use\s+`?|# schema:\s*)([^`;\s]+)', 1) as database_name,
        regexp_matches(times, '\b(?:Last_errno|Errno|Killed): *[1-9]') as has_failed,
        regexp_extract(next_comments, '(?i)\bschema: *([^\s:]+)(?:\s|$)', 1) as next_database_name,
        regexp_matches(next_comments, '\b(?:Last_errno|Errno|Killed): *[1-9]') as next_has_failed,
        case
            when is_entry then trim(regexp_replace(
                regexp_replace(body, '(?m)^#[^\n]*\n?', '', 'g'),
                '(?i)^\s*(?:use [^;\n]*;\s*)?(?:set timestamp\s*=[^;\n]*;)?', ''
            ), chr(10) || ' ')
        end as statement
    from parts
),

-- Separate from the statements, because a window function keeps all of its rows in memory.
own_comments as (
    select
        number,
        coalesce(
            nullif(database_name, ''), nullif(lag(next_database_name) over (order by number), '')
        ) as database_name,
        has_failed or coalesce(lag(next_has_failed) over (order by number), false) as has_failed
    from statements
),

databases as (
    select
        number,
        last_value(database_name ignore nulls) over (order by number) as db_id,
        has_failed
    from own_comments
)

select
    number as ordinal,
    statement as raw_sql,
    db_id,
    case when databases.has_failed then 'failed' end as left_out
from statements
join databases using (number)
where statement != '' and not regexp_matches(statement, '^# administrator command')
order by number
