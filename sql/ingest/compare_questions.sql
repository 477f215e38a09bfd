-- How the questions of answers compare with those of their target, by their keys. Moved ones have
-- another key than the target's question at their place, which has theirs elsewhere. Repeated ones
-- have a key of several questions of the target; if there are more or fewer answers to them, or they
-- are about several databases, their answers are unclear. Expects the table question_keys.
-- parameters: none
with asked as (
    select
        key,
        count(distinct db_id) as n_databases
    from question_keys
    where side = 'target'
    group by key
)

select
    count(*) as n_rows,
    count(*) filter (asked.key is not null) as n_known,
    count(*) filter (asked.key is not null and asked.key is distinct from at_place.key) as n_moved,
    count(*) filter (own.n_in_target > 1) as n_repeated,
    count(*) filter (own.n_in_target > 1 and (own.n <> own.n_in_target or asked.n_databases > 1)) as n_unclear,
    count(distinct own.pair) filter (asked.key is not null) as n_answered,
    (select count(*) from question_keys where side = 'target') as n_questions
from question_keys as own
left join asked on own.key = asked.key
left join question_keys as at_place on at_place.side = 'target' and own.place = at_place.place
where own.side = 'answers'
