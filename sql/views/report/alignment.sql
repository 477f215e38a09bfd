-- Every ordered pair, by the positions of its corpora, with the measures from which the others follow.
-- parameters: none
with positions as (
    select
        corpus,
        row_number() over (order by rowid) - 1 as position
    from corpora
)

select
    source.position as source,
    target.position as target,
    alignment.kl_alignment,
    alignment.additive_kl_alignment,
    alignment.js_nats,
    alignment.ngram_coverage,
    alignment.template_coverage,
    alignment.exact_overlap
from alignment
join positions as source on alignment.source = source.corpus
join positions as target on alignment.target = target.corpus
order by source.position, target.position
