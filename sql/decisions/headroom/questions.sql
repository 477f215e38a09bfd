-- All questions of a target, rejected ones included, with their databases.
-- parameters: target
select ordinal, db_id
from queries
where corpus = $target
order by ordinal
