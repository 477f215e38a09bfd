-- Every ordered pair of corpora with its measures, in the order of the corpora file. Pairs with a target also have an
-- interval of kl_alignment and the target's ceiling, and those of a training set its reach. n_answered and n_questions
-- are null unless the source is predictions that answer only a part of the target, which are compared with the whole
-- target here.
-- parameters: none
with places as (
    select
        corpus,
        role,
        model,
        row_number() over () as position
    from corpora
),

parts as (
    select distinct
        predictions,
        target,
        n_answered,
        n_questions
    from alignment_ratio
    where is_part
)

select
    alignment.*,
    intervals.ci_low,
    intervals.ci_high,
    ceilings.ceiling as target_ceiling,
    intervals.reach,
    source.role as source_role,
    target.role as target_role,
    source.model as source_model,
    parts.n_answered,
    parts.n_questions
from alignment
join places as source on alignment.source = source.corpus
join places as target on alignment.target = target.corpus
left join alignment_intervals as intervals
    on alignment.source = intervals.source and alignment.target = intervals.target
left join parts on alignment.source = parts.predictions and alignment.target = parts.target
left join ceilings on alignment.target = ceilings.target
order by source.position, target.position
