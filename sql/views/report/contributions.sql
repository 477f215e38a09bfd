-- The n-grams with the largest terms of each divergence, including the terms of n-grams folded under them, with an
-- example query and its template. An n-gram with others folded under it is never folded itself. Of each target, the pairs
-- with the closest sources alone are shown, and those with predictions on it.
-- parameters: most, most_sources
with pairs as (
    select distinct
        source,
        target
    from ngram_contributions
),

shown_pairs as (
    select
        pairs.source,
        pairs.target
    from pairs
    join alignment on pairs.source = alignment.source and pairs.target = alignment.target
    join corpora on pairs.source = corpora.corpus
    qualify
        row_number() over (
            partition by pairs.target
            order by coalesce(corpora.target = pairs.target, false) desc, alignment.kl_alignment desc, pairs.source
        ) <= $most_sources
),

terms as (
    select
        source,
        target,
        direction,
        coalesce(folded_under, ngram) as head,
        sum(round(contribution_nats * 1e9)::bigint) as group_nats,
        count(*) - 1 as n_folded,
        any_value(source_probability) filter (folded_under is null) as source_probability,
        any_value(target_probability) filter (folded_under is null) as target_probability,
        any_value(example_sql) filter (folded_under is null) as example_sql
    from ngram_contributions
    join shown_pairs using (source, target)
    group by all
),

groups as (
    select
        *,
        if(direction = 'over', source, target) as example_corpus,
        row_number() over (
            partition by source, target, direction order by group_nats desc, head
        ) as group_rank
    from terms
),

shown as (
    select *
    from groups
    where group_rank <= $most
),

examples as (
    select distinct
        example_corpus,
        example_sql
    from shown
),

example_templates as (
    select
        examples.example_corpus,
        examples.example_sql,
        min(templates.template) as template
    from examples
    join queries on examples.example_corpus = queries.corpus and examples.example_sql = queries.sql
    join templates on queries.template_id = templates.template_id
    group by all
)

select
    shown.source,
    shown.target,
    shown.direction,
    shown.head as ngram,
    shown.group_nats / 1e9 as group_nats,
    shown.n_folded,
    shown.source_probability,
    shown.target_probability,
    shown.example_sql,
    example_templates.template
from shown
left join example_templates
    on shown.example_corpus = example_templates.example_corpus and shown.example_sql = example_templates.example_sql
order by shown.source, shown.target, shown.direction, shown.group_rank
