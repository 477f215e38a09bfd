-- The measures of every ordered pair of corpora. Expects given_corpora.
-- parameters: pairs
insert into alignment
select
    source.corpus as source,
    target.corpus as target,
    pairs.kl_nats,
    pairs.reverse_kl_nats,
    pairs.kl_alignment,
    pairs.additive_kl_nats,
    pairs.additive_kl_alignment,
    pairs.js_nats,
    pairs.js_alignment,
    pairs.ngram_coverage,
    pairs.template_coverage,
    pairs.exact_overlap
from given_corpora as source
cross join given_corpora as target
join read_parquet($pairs) as pairs
    on source.content_key = pairs.source_key and target.content_key = pairs.target_key
order by source.position, target.position;
