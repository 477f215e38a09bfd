-- All questions of a target, rejected ones included, with their databases.
-- parameters: target
select question_ordinal as ordinal, min(db_id) as db_id
from queries
where corpus = $target
group by question_ordinal
order by question_ordinal
