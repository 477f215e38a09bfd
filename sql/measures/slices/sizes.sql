-- The number of queries of each slice, the largest first. Expects slices as the parts of queries.
-- parameters: queries
select
    part as slice,
    sum(n_occurrences)::bigint as n_queries
from read_parquet($queries)
group by part
order by n_queries desc, slice
