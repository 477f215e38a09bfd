-- The n-grams that make the divergences, with a query for each from the side that has more of it.
-- Expects given_corpora and the filled tables queries and ngram_counts; pairs that are there stay.
-- parameters: contributions
insert into ngram_contributions
with named as (
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
        )
),

examples as (
    select
        wanted.side,
        wanted.ngram,
        queries.sql
    from (select distinct side, ngram from named) as wanted
    join ngram_counts on wanted.side = ngram_counts.corpus and wanted.ngram = ngram_counts.ngram
    join queries
        on ngram_counts.corpus = queries.corpus and ngram_counts.example_ordinal = queries.ordinal
)

select
    named.source,
    named.target,
    named.direction,
    named.rank,
    named.ngram,
    named.source_probability,
    named.target_probability,
    named.contribution_nats,
    examples.sql as example_sql
from named
left join examples on named.side = examples.side and named.ngram = examples.ngram
order by named.source_position, named.target_position, named.direction, named.rank;
