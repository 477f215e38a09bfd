-- The rows of a table of text as maps from names in lower case to texts. With tabs as separators, databases write line
-- breaks, tabs and backslashes in texts as \n, \t and \\. Expects the macros of log_rows_macros.
-- parameters: paths, separator
with rows as (
    select *
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
        hive_partitioning = false,
        union_by_name = true
    )
)

select
    row_number() over () - 1 as number,
    map_from_entries(list_transform(
        map_entries(lower_keys(from_json(to_json(rows), '"map(varchar, varchar)"'))),
        lambda entry: {k: entry.key, v: if($separator = chr(9), unescape_tsv(entry.value), entry.value)}
    )) as fields
from rows
