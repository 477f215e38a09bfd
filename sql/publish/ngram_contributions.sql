-- The n-grams that make the divergences, with a query for each from the side that has more of it.
-- Expects given_corpora and the filled tables queries and ngram_counts; pairs that are there stay.
-- folded_under is the longest of a pair's n-grams here that another one never occurs without.
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

-- A run of tokens is one of characters too, between spaces and with the space inside a token replaced.
spelled as (
    select
        source,
        target,
        direction,
        ngram,
        source_probability,
        target_probability,
        ' ' || regexp_replace(ngram, '\b(ORDER|GROUP|PARTITION) BY\b', '\1_BY', 'g') || ' ' as spelling,
        len(string_split(spelling, ' ')) as n_spaced
    from named
),

-- Equal in both corpora: no query has the shorter one without the longer one.
nested as (
    select
        inner_one.source,
        inner_one.target,
        inner_one.direction,
        inner_one.ngram,
        -- Two of one length would both be inside one that is longer still; by text, to be sure.
        arg_max(outer_one.ngram, (outer_one.n_spaced, outer_one.ngram)) as folded_under
    from spelled as inner_one
    join spelled as outer_one
        on inner_one.source = outer_one.source
        and inner_one.target = outer_one.target
        and inner_one.direction = outer_one.direction
        and inner_one.source_probability = outer_one.source_probability
        and inner_one.target_probability = outer_one.target_probability
        and inner_one.ngram != outer_one.ngram
        and contains(outer_one.spelling, inner_one.spelling)
    group by all
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
    nested.folded_under,
    examples.sql as example_sql
from named
left join nested using (source, target, direction, ngram)
left join examples on named.side = examples.side and named.ngram = examples.ngram
order by named.source_position, named.target_position, named.direction, named.rank;
