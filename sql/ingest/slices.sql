-- The slice of each question of a target, or its number if names are not shown. Expects slices as the parts of queries.
-- parameters: queries, shows_names
with questions as (
    select
        coalesce(question_ordinal, ordinal) as question,
        min(part) as slice
    from read_parquet($queries)
    group by coalesce(question_ordinal, ordinal)
)

select
    question,
    if($shows_names or slice is null, slice, 'slice ' || dense_rank() over (order by slice)) as slice
from questions
order by question
