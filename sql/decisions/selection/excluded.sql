-- How many rows of each source are no candidates, and why.
-- parameters: none
select
    position,
    count(*) filter (excluded is null) as n_candidates,
    count(*) filter (excluded in ('exact overlap', 'near overlap')) as n_overlapping,
    count(*) filter (excluded = 'repeated') as n_repeated
from candidates
group by position
order by position
