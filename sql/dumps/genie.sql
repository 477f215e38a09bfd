-- Spaces of Databricks Genie as its API gives them: the example queries and the benchmarks, whose
-- texts are lists of lines. The space itself is a text in the field serialized_space.
-- parameters: none
with spaces as (
    select
        place,
        object ->> '$.title' as db_id,
        coalesce(try_cast(object ->> '$.serialized_space' as json), object) as space
    from dump_objects
),

lists as (
    select
        place,
        db_id,
        from_json(space -> '$.instructions.example_question_sqls', '["json"]') as examples,
        from_json(space -> '$.benchmarks.questions', '["json"]') as benchmarks
    from spaces
),

entries as (
    select
        place,
        db_id,
        unnest(
            list_transform(coalesce(examples, []), lambda entry: {entry: entry, code: entry -> '$.sql'})
            || list_transform(
                coalesce(benchmarks, []), lambda entry: {entry: entry, code: entry -> '$.answer[0].content'}
            )
        ) as pair,
        generate_subscripts(coalesce(examples, []) || coalesce(benchmarks, []), 1) as entry_place
    from lists
),

texts as (
    select
        place,
        entry_place,
        db_id,
        if(json_type(pair.code) = 'ARRAY', array_to_string(pair.code ->> '$[*]', chr(10)), pair.code ->> '$') as raw_sql,
        if(
            json_type(pair.entry, '$.question') = 'ARRAY',
            array_to_string(pair.entry ->> '$.question[*]', ' '),
            pair.entry ->> '$.question'
        ) as question,
        pair.entry ->> '$.id' as id
    from entries
)

select
    row_number() over (order by place, entry_place) - 1 as ordinal,
    raw_sql,
    db_id,
    question,
    id,
    if(coalesce(trim(raw_sql), '') = '', 'without SQL', null) as left_out
from texts
order by ordinal
