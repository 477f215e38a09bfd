-- Training examples of OmniSQL as Parquet, as in omnisql_sft.sql. Empty rows supply the columns that
-- a file lacks.
-- parameters: paths
with rows as (
    select
        null::varchar as input_seq,
        null::varchar as output_seq,
        null::varchar as question,
        null::varchar as db_id,
        null::varchar as question_id,
        null::varchar as id
    where false
    union all by name
    from read_parquet($paths, union_by_name = true, hive_partitioning = false)
)

select
    row_number() over () - 1 as ordinal,
    coalesce(question_id, id) as id,
    output_seq as raw_sql,
    db_id,
    coalesce(question, input_seq) as question
from rows
