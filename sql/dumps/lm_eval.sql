-- Samples that lm-evaluation-harness logs. If a task has several filters, its samples recur: those of
-- the first filter count, and the others are left out. The answers are read; lm_eval_gold reads the
-- references.
-- parameters: paths
with samples as (
    select
        doc_id,
        doc,
        coalesce(nullif(filtered_resps, '[]'::json), resps) as answers,
        coalesce("filter", '') as filter_name,
        first_value(coalesce("filter", '')) over () as first_filter
    from read_json(
        $paths,
        columns = {doc_id: 'varchar', doc: 'json', resps: 'json', filtered_resps: 'json', "filter": 'varchar'},
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

answers as (
    select
        row_number() over () - 1 as ordinal,
        doc_id,
        doc,
        from_json(if(json_type(answers, '$[0]') = 'ARRAY', answers -> '$[0]', answers), '["VARCHAR"]') as answers,
        if(filter_name = first_filter, null, 'of further filters') as left_out
    from samples
)

select
    ordinal,
    doc_id as id,
    answers[1] as raw_sql,
    answers,
    doc ->> '$.db_id' as db_id,
    doc ->> '$.question' as question,
    left_out
from answers
