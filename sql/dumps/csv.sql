-- Any table of text with a header, with its separator. The corpora file names its columns.
-- parameters: db_id_column, frequency_column, id_column, part_column, paths, question_column, separator, sql_column
with mapped as (
    select columns(
        lambda name: name in (
            $sql_column, $db_id_column, $question_column, $frequency_column, $id_column, $part_column
        )
    )
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

rows as (
    select from_json(to_json(mapped), '"map(varchar, varchar)"') as fields
    from mapped
)

select
    row_number() over () - 1 as ordinal,
    fields[$sql_column] as raw_sql,
    fields[$db_id_column] as db_id,
    fields[$question_column] as question,
    fields[$frequency_column] as n_occurrences,
    fields[$id_column] as id,
    fields[$part_column] as part
from rows
