-- How the ids of answers compare with the ids of the questions of their target. An id of several
-- questions does not identify any of them. The numbers are null unless all ids of answers are
-- integers.
-- parameters: queries, target
with answers as (
    select
        id,
        if(regexp_full_match(id, '\d{1,18}'), try_cast(id as bigint), null) as number,
        count(*) as n
    from read_parquet($queries)
    group by id
),

questions as (
    select id, count(distinct coalesce(question_ordinal, ordinal)) as n
    from read_parquet($target)
    where id is not null
    group by id
),

of_answers as (
    select
        sum(answers.n)::bigint as n_rows,
        count(answers.id) as n_ids,
        count(answers.id) filter (questions.id is not null) as n_known,
        min(answers.id) filter (questions.id is null) as example_unknown,
        if(count(answers.number) = n_ids, min(answers.number), null) as least_number,
        if(count(answers.number) = n_ids, max(answers.number), null) as largest_number,
        coalesce(sum(answers.n) filter (answers.id is null), 0)::bigint as n_without_id
    from answers
    left join questions using (id)
),

of_questions as (
    select
        count(*) as n_question_ids,
        count(*) filter (n > 1) as n_repeated,
        min(id) filter (n > 1) as example_repeated,
        min(id) as example_known
    from questions
)

select
    of_answers.*,
    of_questions.*,
    (select count(distinct coalesce(question_ordinal, ordinal)) from read_parquet($target)) as n_questions
from of_answers
cross join of_questions
