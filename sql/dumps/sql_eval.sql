-- Defog's sql-eval as CSV: each row lists correct queries, and the first one counts. Columns in
-- braces are optional; all of them are kept, also where GROUP BY {} refers to them. Empty rows
-- supply the columns that a file lacks.
-- parameters: paths, separator
with rows as (
    select null::varchar as query, null::varchar as db_name, null::varchar as question
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
),

-- Semicolons and braces in quotes or comments are parts of the query.
alternatives as (
    select
        *,
        regexp_extract(
            query,
            $$^[;\s]*((?:--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/|'[^']*(?:'|\z)|"[^"]*(?:"|\z)|`[^`]*(?:`|\z)|[^;])*)$$,
            1
        ) as first_query
    from rows
),

grouped as (
    select
        *,
        replace(
            first_query,
            'GROUP BY {}',
            'GROUP BY ' || regexp_extract(
                first_query,
                $$^(?:--[^\n]*|'[^']*(?:'|\z)|"[^"]*(?:"|\z)|`[^`]*(?:`|\z)|\{\}|[^{])*\{([^{}]+)\}$$,
                1
            )
        ) as grouped_query
    from alternatives
)

select
    row_number() over () - 1 as ordinal,
    query as raw_sql,
    regexp_replace(
        grouped_query,
        $$(--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/|'[^']*(?:'|\z)|"[^"]*(?:"|\z)|`[^`]*(?:`|\z))|[{}]$$,
        '\1',
        'g'
    ) as "sql",
    db_name as db_id,
    question
from grouped
