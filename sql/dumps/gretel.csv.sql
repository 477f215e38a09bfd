-- Gretel's synthetic_text_to_sql as CSV. Empty rows supply the columns that a file lacks.
-- parameters: paths, separator
with rows as (
    select null::varchar as "sql", null::varchar as sql_prompt
    where false
    union all by name
    from read_csv(
        $paths,
        header = true,
        all_varchar = true,
        delim = $separator,
        quote = '"',
        escape = '"',
        comment = '',
        skip = 0,
        max_line_size = 33554432,
        hive_partitioning = false
    )
)

select
    row_number() over () - 1 as ordinal,
    "sql" as raw_sql,
    null as db_id,
    sql_prompt as question
from rows
