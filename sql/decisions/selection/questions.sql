-- The queries of the target with their questions: an ordinal, and an id if the dump has one.
-- parameters: target
select ordinal, question_ordinal, id
from queries
where corpus = $target
order by ordinal
