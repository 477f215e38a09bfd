-- The n-grams with the largest terms of the divergences, each with a query from the corpus in which it is more
-- frequent. folded_under is the pair's longest n-gram that contains this one and occurs as often in both corpora.
-- first and last are a range of sources by their positions: see contribution_ranges.sql. ngram_files and queries_files
-- have the counts and the queries of all corpora in column side of this range. Expects named_contributions.
-- parameters: ngram_files, queries_files, first, last
insert into ngram_contributions
with named as (
    select *
    from named_contributions
    where source_position between $first and $last
),

-- Tokens have no space inside and one space on each side, so that a run of tokens is a substring.
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

-- Equal probabilities in both corpora: no query has the shorter n-gram without the longer one.
nested as (
    select
        inner_one.source,
        inner_one.target,
        inner_one.direction,
        inner_one.ngram,
        -- The text breaks ties; two n-grams of one length would both be inside a longer one.
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
    join read_parquet($ngram_files) as counted
        on wanted.side = counted.corpus and wanted.ngram = counted.ngram
    join read_parquet($queries_files) as queries
        on counted.corpus = queries.corpus and counted.example_ordinal = queries.ordinal
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
