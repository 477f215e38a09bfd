-- BigQuery's INFORMATION_SCHEMA.JOBS as CSV. Rows without a query text are skipped. Empty rows
-- supply the columns that a file lacks.
-- parameters: paths, separator
with rows as (
    select null::varchar as query, null::varchar as project_id
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
    query as raw_sql,
    project_id as db_id,
    null as question
from rows
where query is not null
