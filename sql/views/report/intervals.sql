-- The bootstrap intervals of alignments with targets.
-- parameters: none
select
    source,
    target,
    ci_low,
    ci_high,
    n_source_units,
    source_unit
from alignment_intervals
where ci_low is not null
order by rowid
