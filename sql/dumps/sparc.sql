-- SParC and CoSQL as JSON: a list of interactions with several turns each. Each turn's query
-- counts. The final goal of an interaction repeats its last turn, and is skipped.
-- parameters: paths
with turns as (
    select
        database_id,
        unnest(interaction) as turn
    from read_json(
        $paths,
        columns = {
            database_id: 'varchar',
            interaction: 'struct(query varchar, utterance varchar)[]'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
)

select
    row_number() over () - 1 as ordinal,
    turn.query as raw_sql,
    database_id as db_id,
    turn.utterance as question
from turns
