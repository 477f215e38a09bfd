-- The questions of answers and of their target, as table question_keys: side ('answers' or 'target'),
-- question (its ordinal), place (from 0), db_id, key (its text; for the way 'question_in_database', after
-- its database; null without one) and pair, which is equal for a question and its answers. If
-- questions of the target have one key (n_in_target), pairs follow the order of both files. Spaces
-- around and between words do not count. The table is empty for ways other than by question.
-- parameters: queries, target, way
create or replace temp table question_keys as
with rows as (
    select 'answers' as side, *
    from read_parquet($queries)
    union all by name
    select 'target' as side, *
    from read_parquet($target)
),

questions as (
    select
        side,
        coalesce(question_ordinal, ordinal) as question,
        any_value(nullif(trim(db_id), '')) as db_id,
        any_value(nullif(trim(regexp_replace(question, '\s+', ' ', 'g')), '')) as text
    from rows
    where $way in ('question', 'question_in_database')
    group by all
),

keyed as (
    select
        side,
        question,
        row_number() over (partition by side order by question) - 1 as place,
        db_id,
        if($way = 'question', text, db_id || chr(31) || text) as key
    from questions
),

counted as (
    select
        *,
        count(*) over (partition by side, key) as n,
        count(*) filter (side = 'target') over (partition by key) as n_in_target,
        row_number() over (partition by side, key order by question) as nth
    from keyed
)

select
    * exclude (nth),
    key || chr(31) || least(nth, n_in_target) as pair
from counted;
