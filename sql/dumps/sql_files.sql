-- A folder of SQL files, one query per file, sorted by name. Their names are the ids, unless there
-- is only one file.
-- parameters: names, paths
with files as (
    -- A list that is indexed in each row takes quadratic time.
    select unnest($names) as name, unnest(range(len($names))) as ordinal
),

texts as (
    select row_number() over () - 1 as ordinal, content
    from read_text($paths)
)

select
    ordinal,
    texts.content as raw_sql,
    null as db_id,
    null as question,
    if(len($names) > 1, regexp_replace(files.name, '\.\w+$', ''), null) as id
from texts
join files using (ordinal)
order by ordinal
