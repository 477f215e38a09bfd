-- The n-grams with the largest terms of the divergences, for the pairs that ngram_contributions lacks. side is the
-- corpus in which the n-gram is more frequent. Expects given_corpora and the table ngram_contributions.
-- parameters: contributions
create or replace temp table named_contributions as
select
    source.corpus as source,
    target.corpus as target,
    source.position as source_position,
    target.position as target_position,
    if(terms.direction = 'over', source.corpus, target.corpus) as side,
    terms.*
from read_parquet($contributions) as terms
join given_corpora as source on terms.source_key = source.content_key
join given_corpora as target on terms.target_key = target.content_key
where
    target.role = 'target'
    and (source.corpus, target.corpus) not in (
        select (source, target) from ngram_contributions
    );
