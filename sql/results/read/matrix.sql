-- Every ordered pair of corpora with its measures, in the order of the corpora file. Pairs with a target also have an
-- interval of kl_alignment and the target's ceiling.
-- parameters: none
with places as (
    select
        corpus,
        role,
        row_number() over () as position
    from corpora
)

select
    alignment.*,
    intervals.ci_low,
    intervals.ci_high,
    ceilings.ceiling as target_ceiling,
    source.role as source_role,
    target.role as target_role
from alignment
join places as source on alignment.source = source.corpus
join places as target on alignment.target = target.corpus
left join alignment_intervals as intervals
    on alignment.source = intervals.source and alignment.target = intervals.target
left join ceilings on alignment.target = ceilings.target
order by source.position, target.position
