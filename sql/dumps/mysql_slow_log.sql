-- The slow query log of MySQL and MariaDB. Each entry has comment lines, then USE and SET lines
-- written by the server, then the query. The database is the last one that the log names.
-- parameters: paths
with pieces as (
    select
        row_number() over () as number,
        place,
        piece
    from read_parquet($paths, hive_partitioning = false)
),

-- Each piece starts within a line with a query's times. The text before the first such line is the
-- header of the log.
parts as (
    select
        number,
        regexp_replace(regexp_replace(piece, '^[^\n]*\n', ''), '(?ms)^# (?:Time|User@Host):.*$', '') as body
    from pieces
    where place > 0 or starts_with(piece, '# Query_time:')
),

statements as (
    select
        number,
        regexp_extract(body, '(?im)^(?:use\s+`?|# schema:\s*)([^`;\s]+)', 1) as database_name,
        trim(regexp_replace(
            regexp_replace(body, '(?m)^#[^\n]*\n?', '', 'g'),
            '(?i)^\s*(?:use [^;\n]*;\s*)?(?:set timestamp\s*=[^;\n]*;)?', ''
        ), chr(10) || ' ') as statement
    from parts
),

-- Separate from the statements, because a window function keeps all of its rows in memory.
databases as (
    select
        number,
        last_value(nullif(database_name, '') ignore nulls) over (order by number) as db_id
    from statements
)

select
    row_number() over (order by number) - 1 as ordinal,
    statement as raw_sql,
    db_id,
    null as question
from statements
join databases using (number)
where statement != '' and not regexp_matches(statement, '^# administrator command')
