-- The queries of a target whose questions some predictions answer.
-- parameters: answers, target
select asked.*
from read_parquet($target) as asked
where coalesce(question_ordinal, ordinal) in (select question_ordinal from read_parquet($answers))
order by ordinal
