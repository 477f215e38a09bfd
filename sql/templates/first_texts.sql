-- Texts that occur first in a range of their corpus's queries, with the number of queries that have each, as
-- distinct_queries.sql has them. firsts are the files of first_occurrences.sql.
-- parameters: queries, firsts, first_ordinal, last_ordinal
select
    found.first_ordinal,
    given.sql,
    found.n_queries
from read_parquet($queries) as given
join read_parquet($firsts) as found on given.ordinal = found.first_ordinal
where
    given.ordinal between $first_ordinal and $last_ordinal
    and found.first_ordinal between $first_ordinal and $last_ordinal
order by found.first_ordinal
