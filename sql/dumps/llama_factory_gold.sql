-- Predictions of LLaMA-Factory or DB-GPT-Hub (generated_predictions.jsonl).
-- The references are read; llama_factory reads the answers.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    label as raw_sql,
    null as db_id,
    prompt as question
from read_json(
    $paths,
    columns = {prompt: 'varchar', label: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
