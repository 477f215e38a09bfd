-- MySQL's and MariaDB's slow query log: entries of comment lines, then USE and SET lines of the server's own,
-- then the query. The database is the last one that the log names.
-- parameters: paths
with entries as (
    select
        unnest(entries) as entry,
        generate_subscripts(entries, 1) as place,
        file_number
    from (
        select
            string_split_regex(
                replace(content, chr(13) || chr(10), chr(10)), '(?m)^# Query_time:[^\n]*\n'
            ) as entries,
            row_number() over () as file_number
        from read_text($paths)
    )
),

parts as (
    select
        file_number,
        place,
        regexp_replace(entry, '(?ms)^# (?:Time|User@Host):.*$', '') as body
    from entries
    where place > 1
),

statements as (
    select
        file_number,
        place,
        regexp_extract(body, '(?im)^(?:use\s+`?|# schema:\s*)([^`;\s]+)', 1) as named,
        trim(regexp_replace(
            regexp_replace(body, '(?m)^#[^\n]*\n?', '', 'g'),
            '(?i)^\s*(?:use [^;\n]*;\s*)?(?:set timestamp\s*=[^;\n]*;)?', ''
        ), chr(10) || ' ') as statement
    from parts
)

select
    row_number() over (order by file_number, place) - 1 as ordinal,
    statement as raw_sql,
    last_value(nullif(named, '') ignore nulls) over (order by file_number, place) as db_id,
    null as question
from statements
where statement != '' and not regexp_matches(statement, '^# administrator command')
