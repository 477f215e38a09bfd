-- Any JSON: one object per line, or a list of objects. The corpora file names the keys.
-- A list of queries is read as its text.
-- parameters: db_id_column, frequency_column, id_column, part_column, paths, question_column, sql_column
select
    row_number() over () - 1 as ordinal,
    fields[$sql_column] ->> '$' as raw_sql,
    fields[$db_id_column] ->> '$' as db_id,
    fields[$question_column] ->> '$' as question,
    fields[$frequency_column] ->> '$' as n_occurrences,
    fields[$id_column] ->> '$' as id,
    fields[$part_column] ->> '$' as part
from read_json(
    $paths,
    columns = {fields: 'map(varchar, json)'},
    records = false,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
