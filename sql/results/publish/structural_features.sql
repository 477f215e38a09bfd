-- How often each new corpus uses each named structure: the features of its templates, weighted by their queries; and
-- an example, the first query of the most frequent template with the structure.
-- Expects the table of template_features.sql, the view queries, and the filled table corpora.
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
    join template_features as features using (template_id)
),

-- A row for each template of a corpus and feature.
uses as (
    unpivot in_corpora
    on columns(* exclude (corpus, n_queries, first_ordinal)) into name feature value n_in_query
),

of_corpora as (
    select
        corpus,
        feature,
        sum(n_queries) filter (n_in_query > 0) as n_using,
        sum(n_queries * n_in_query) as n_uses,
        arg_max(first_ordinal, (n_queries, -first_ordinal)) filter (n_in_query > 0) as example_ordinal
    from uses
    group by corpus, feature
)

select
    corpora.corpus,
    of_corpora.feature,
    coalesce(of_corpora.n_using, 0)::bigint as n_queries,
    coalesce(of_corpora.n_using, 0) / corpora.n_templated::double as share,
    of_corpora.n_uses / corpora.n_templated::double as mean,
    of_corpora.example_ordinal
from of_corpora
join corpora using (corpus)
order by corpora.rowid, of_corpora.feature;
