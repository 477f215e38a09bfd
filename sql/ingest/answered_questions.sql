-- The question of each answer, as table answered (ordinal, question, id). way says how questions
-- are found. 'id': by the ids of the target's questions. 'number': by ids that number them from
-- first_number. 'order': by their order. 'question' and 'question_in_database': by the pairs of table
-- question_keys, which has to exist. Without a target, 'alone': answers with one id share a
-- question; and 'rows': the queries of one row of the dump share one. Answers with unknown ids are left
-- out. With only_first, one answer to each question is kept. With with_missing, the target's
-- questions without an answer are added, with a null ordinal.
-- parameters: queries, target, way, first_number, only_first, with_missing
create or replace temp table answered as
with given as (
    select
        answers.ordinal,
        answers.id,
        coalesce(answers.question_ordinal, answers.ordinal) as question,
        question_keys.pair
    from read_parquet($queries) as answers
    left join (from question_keys where side = 'answers') as question_keys
        on coalesce(answers.question_ordinal, answers.ordinal) = question_keys.question
),

placed as (
    select
        ordinal,
        id,
        case $way
            when 'id' then id
            when 'number' then (try_cast(id as bigint) - $first_number)::varchar
            when 'order' then (dense_rank() over (order by question) - 1)::varchar
            else pair
        end as key,
        if($way = 'alone' and id is not null, min(question) over (partition by id), question) as question
    from given
),

asked as (
    select
        coalesce(question_ordinal, ordinal) as question,
        any_value(id) as id
    from read_parquet($target)
    where $way not in ('alone', 'rows')
    group by coalesce(question_ordinal, ordinal)
),

questions as (
    select
        asked.question,
        asked.id,
        case
            when $way = 'id' then asked.id
            when $way in ('number', 'order') then (row_number() over (order by asked.question) - 1)::varchar
            else question_keys.pair
        end as key
    from asked
    left join (from question_keys where side = 'target') as question_keys using (question)
),

found as (
    select placed.ordinal, questions.question, coalesce(questions.id, placed.id) as id
    from placed
    join questions using (key)
    union all
    select ordinal, question, id
    from placed
    where $way in ('alone', 'rows')
),

kept as (
    select ordinal, question, id
    from found
    qualify not $only_first or row_number() over (partition by question order by ordinal) = 1
)

from kept
union all
select null as ordinal, question, id
from questions
where $with_missing and question not in (select question from found);
