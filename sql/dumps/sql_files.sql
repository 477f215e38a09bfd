-- A folder of SQL files, one query per file, sorted by name. Their names are the ids, unless there
-- is only one file.
-- parameters: names, paths
select
    row_number() over () - 1 as ordinal,
    content as raw_sql,
    null as db_id,
    null as question,
    if(len($names) > 1, regexp_replace($names[row_number() over ()], '\.\w+$', ''), null) as id
from read_text($paths)
