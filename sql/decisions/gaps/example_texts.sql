-- The texts of some rows. Expects examples (example_corpus, example_ordinal).
-- parameters: none
select
    examples.example_corpus,
    examples.example_ordinal,
    queries.sql as example_sql,
    queries.question as example_question
from examples
join queries on examples.example_corpus = queries.corpus and examples.example_ordinal = queries.ordinal
order by examples.example_corpus, examples.example_ordinal
