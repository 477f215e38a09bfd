-- A folder of SQL files, one query per file, sorted by name.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    content as raw_sql,
    null as db_id,
    null as question
from read_text($paths)
