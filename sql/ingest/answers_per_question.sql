-- The different numbers of answers to one question. Expects the table answered.
-- parameters: none
with questions as (
    select count(*)::bigint as n_answers
    from answered
    group by question
)

select distinct n_answers
from questions
order by n_answers
