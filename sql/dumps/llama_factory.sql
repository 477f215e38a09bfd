-- Predictions of LLaMA-Factory or DB-GPT-Hub (generated_predictions.jsonl).
-- The answers are read; llama_factory_gold reads the references.
-- parameters: paths
select
    row_number() over () - 1 as ordinal,
    predict as raw_sql,
    null as db_id,
    prompt as question
from read_json(
    $paths,
    columns = {prompt: 'varchar', predict: 'varchar'},
    records = true,
    maximum_object_size = 33554432,
    hive_partitioning = false
)
