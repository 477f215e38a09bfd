-- Predictions of DIN-SQL as CSV. Empty rows supply the columns that a file lacks.
-- parameters: paths, separator
with rows as (
    select null::varchar as "PREDICTED SQL", null::varchar as "NLQ", null::varchar as "DATABASE"
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
    "PREDICTED SQL" as raw_sql,
    "DATABASE" as db_id,
    "NLQ" as question
from rows
