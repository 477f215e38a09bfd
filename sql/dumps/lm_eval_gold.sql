-- Samples that lm-evaluation-harness logs. If a task has several filters, its samples recur: those of
-- the first filter count, and the others are left out. The references are read; lm_eval reads the
-- answers.
-- parameters: paths
with samples as (
    select
        doc_id,
        doc,
        target,
        coalesce("filter", '') as filter_name,
        first_value(coalesce("filter", '')) over () as first_filter
    from read_json(
        $paths,
        columns = {doc_id: 'varchar', doc: 'json', target: 'json', "filter": 'varchar'},
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
)

select
    row_number() over () - 1 as ordinal,
    doc_id as id,
    target ->> '$' as raw_sql,
    doc ->> '$.db_id' as db_id,
    doc ->> '$.question' as question,
    if(filter_name = first_filter, null, 'of further filters') as left_out
from samples
