-- The bootstrap intervals of alignments with targets, and the reach of training sets.
-- parameters: none
select
    source,
    target,
    ci_low,
    ci_high,
    reach
from alignment_intervals
where ci_low is not null
order by rowid
