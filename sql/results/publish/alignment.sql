-- The measures of every ordered pair of corpora. A pair is unevenly parsed if the shares of queries that parse differ
-- by more than 0.1: the rejected queries may then explain the divergence. Expects given_corpora, given_doubts (train,
-- target, predictions, doubts) and the filled table corpora.
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
    pairs.exact_overlap,
    source_parsed.parsed_share as source_parsed_share,
    target_parsed.parsed_share as target_parsed_share,
    abs(source_parsed.parsed_share - target_parsed.parsed_share) > 0.1 as is_unevenly_parsed,
    coalesce(given_doubts.doubts, []) as doubts
from given_corpora as source
cross join given_corpora as target
join read_parquet($pairs) as pairs
    on source.content_key = pairs.source_key and target.content_key = pairs.target_key
join corpora as source_parsed on source.corpus = source_parsed.corpus
join corpora as target_parsed on target.corpus = target_parsed.corpus
left join given_doubts
    on
        source.corpus = given_doubts.train
        and target.corpus = given_doubts.target
        and given_doubts.predictions is null
order by source.position, target.position;
