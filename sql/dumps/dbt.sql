-- A dbt project's compiled/ folder: the models, analyses and tests below it, one query a file, in the order
-- of their names.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    content as raw_sql,
    null as db_id,
    null as question
from read_text($paths)
