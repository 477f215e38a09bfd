-- How often the queries of each corpus use each structural feature, with an example and its template.
-- parameters: none
select
    features.corpus,
    features.feature,
    features.share,
    features.mean,
    queries.sql as example_sql,
    templates.template
from structural_features as features
left join queries on features.corpus = queries.corpus and features.example_ordinal = queries.ordinal
left join templates on queries.template_id = templates.template_id
order by features.corpus, features.feature
