-- The number of different questions of some queries.
-- parameters: queries
select count(distinct coalesce(question_ordinal, ordinal))
from read_parquet($queries)
