-- Every ordered pair of corpora with its measures, in the order of the corpora file.
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
    source.role as source_role,
    target.role as target_role
from alignment
join places as source on alignment.source = source.corpus
join places as target on alignment.target = target.corpus
order by source.position, target.position
