-- All corpora with their labels and counts, in the order of the corpora file.
-- parameters: none
select
    corpus,
    role,
    format,
    dialect,
    digest,
    license,
    model,
    trained_on,
    target,
    n_queries,
    n_templated,
    n_rejected,
    parsed_share,
    question_weight,
    n_cleaned,
    n_distinct_templates,
    n_distinct_ngrams,
    is_set_aside
from corpora
order by rowid
