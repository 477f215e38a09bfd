-- The number of rows of each source that are candidates, and that are excluded for each reason.
-- parameters: none
select
    position,
    count(*) filter (excluded is null) as n_candidates,
    count(*) filter (excluded in ('exact overlap', 'near overlap')) as n_overlapping,
    count(*) filter (excluded = 'accidental') as n_accidental,
    count(*) filter (excluded = 'repeated') as n_repeated
from candidates
group by position
order by position
