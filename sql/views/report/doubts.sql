-- The doubts about alignments of training sets with targets.
-- parameters: none
select
    source,
    target,
    doubts
from alignment
where len(doubts) > 0
order by rowid
