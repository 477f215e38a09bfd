-- Every ordered pair by the places of its corpora, with the measures from which the others follow.
-- parameters: none
with places as (
    select
        corpus,
        row_number() over (order by rowid) - 1 as place
    from corpora
)

select
    source.place as source,
    target.place as target,
    alignment.kl_alignment,
    alignment.additive_kl_alignment,
    alignment.js_nats,
    alignment.ngram_coverage,
    alignment.template_coverage,
    alignment.exact_overlap
from alignment
join places as source on alignment.source = source.corpus
join places as target on alignment.target = target.corpus
order by source.place, target.place
