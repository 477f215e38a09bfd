-- Any JSON: one object per line, or a list of objects. The corpora file names the keys.
-- Of a list of queries, the first is read.
-- parameters: db_id_column, frequency_column, id_column, paths, question_column, sql_column
select
    row_number() over () - 1 as ordinal,
    fields[$sql_column] ->> if(json_type(fields[$sql_column]) = 'ARRAY', '$[0]', '$') as raw_sql,
    fields[$db_id_column] ->> '$' as db_id,
    fields[$question_column] ->> '$' as question,
    fields[$frequency_column] ->> '$' as n_occurrences,
    fields[$id_column] ->> '$' as id
from read_json(
    $paths,
    columns = {fields: 'map(varchar, json)'},
    records = false,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
