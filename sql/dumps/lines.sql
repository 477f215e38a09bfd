-- One query a line, as prediction files have it. An empty line is a query too: the answer to one
-- question is missing there, and the next ones keep their place.
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
    line as raw_sql,
    null as db_id,
    null as question
from lines
