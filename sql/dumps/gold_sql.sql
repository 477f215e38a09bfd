-- Spider's and BIRD's gold files: one query a line, a tab, the database. Queries may hold tabs of their
-- own, so the last one counts; a line without a tab is a query of no known database.
-- parameters: paths
with files as (
    select string_split(replace(content, chr(13) || chr(10), chr(10)), chr(10)) as pieces
    from read_text($paths)
),

-- What follows the last line break is no line.
lines as (
    select unnest(if(pieces[-1] = '', pieces[:-2], pieces)) as line
    from files
)

select
    row_number() over () - 1 as ordinal,
    regexp_replace(line, '\t[^\t]*$', '') as raw_sql,
    nullif(trim(regexp_extract(line, '\t([^\t]*)$', 1)), '') as db_id,
    null as question
from lines
