-- How often each new corpus uses each named structure: the features of its templates, weighted by their queries; and
-- an example, the first query of the most frequent template with the structure.
-- Expects the macro of template_features.sql, the view queries, and the filled tables templates and corpora.
-- parameters: new_corpora
insert into structural_features
with weights as (
    select
        corpus,
        template_id,
        sum(n_occurrences)::bigint as n_queries,
        min(ordinal) as first_ordinal
    from queries
    where template_id is not null and corpus in $new_corpora
    group by corpus, template_id
),

in_corpora as (
    select weights.corpus, weights.n_queries, weights.first_ordinal, features.* exclude (template_id)
    from weights
    join template_features($new_corpora) as features using (template_id)
),

using_them as (
    unpivot (
        select corpus, sum(n_queries * (columns(* exclude (corpus, n_queries, first_ordinal)) > 0)::bigint)
        from in_corpora
        group by corpus
    ) on columns(* exclude (corpus)) into name feature value n_queries
),

times_used as (
    unpivot (
        select corpus, sum(n_queries * columns(* exclude (corpus, n_queries, first_ordinal)))
        from in_corpora
        group by corpus
    ) on columns(* exclude (corpus)) into name feature value n_uses
),

examples as (
    unpivot (
        select
            corpus,
            arg_max(
                first_ordinal,
                (n_queries * (columns(* exclude (corpus, n_queries, first_ordinal)) > 0)::bigint, -first_ordinal)
            )
        from in_corpora
        group by corpus
    ) on columns(* exclude (corpus)) into name feature value example_ordinal
)

select
    corpora.corpus,
    using_them.feature,
    using_them.n_queries::bigint as n_queries,
    using_them.n_queries / corpora.n_templated::double as share,
    times_used.n_uses / corpora.n_templated::double as mean,
    if(using_them.n_queries > 0, examples.example_ordinal, null) as example_ordinal
from using_them
join times_used using (corpus, feature)
join examples using (corpus, feature)
join corpora using (corpus)
order by corpora.rowid, using_them.feature;
