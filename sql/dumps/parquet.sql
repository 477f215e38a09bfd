-- Any Parquet file. The corpora file names its columns. A list of queries is read as its text.
-- parameters: db_id_column, frequency_column, id_column, part_column, paths, question_column, sql_column
with mapped as (
    select columns(
        lambda name: name in (
            $sql_column, $db_id_column, $question_column, $frequency_column, $id_column, $part_column
        )
    )
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
),

rows as (
    select from_json(to_json(mapped), '"map(varchar, json)"') as fields
    from mapped
)

select
    row_number() over () - 1 as ordinal,
    fields[$sql_column] ->> '$' as raw_sql,
    fields[$db_id_column] ->> '$' as db_id,
    fields[$question_column] ->> '$' as question,
    fields[$frequency_column] ->> '$' as n_occurrences,
    fields[$id_column] ->> '$' as id,
    fields[$part_column] ->> '$' as part
from rows
