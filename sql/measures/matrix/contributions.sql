-- The n-grams with the largest terms of each divergence of a source from a target.
-- over: terms of KL(source || target), which sum to kl_nats.
-- under: terms of KL(target || source), which sum to reverse_kl_nats.
-- Equal terms are ranked in the order of their n-grams.
-- parameters: most
select
    source.content_key as source_key,
    target.content_key as target_key,
    terms.direction,
    row_number() over (
        partition by source.content_key, target.content_key, terms.direction
        order by terms.contribution_nats desc, terms.ngram
    ) as rank,
    terms.ngram,
    if(terms.direction = 'over', terms.p, terms.q) as source_probability,
    if(terms.direction = 'over', terms.q, terms.p) as target_probability,
    terms.contribution_nats
from largest_terms as terms
join contents as source on terms.source_id = source.content_id
join contents as target on terms.target_id = target.content_id
qualify rank <= $most
order by source_key, target_key, direction, rank
