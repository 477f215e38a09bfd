-- The comments on the views of the queries and of the n-gram counts, which each run creates again.
-- parameters: none
comment on view queries is 'Every query of every corpus, in the order of its dump, read from the Parquet files of the queries.';
comment on column queries.corpus is 'The corpus of the query';
comment on column queries.ordinal is 'Position in the dump, from 0; of answers that are joined by id: the order of the questions';
comment on column queries.sql is 'The text that was templated, or its template if the corpus keeps no SQL; empty if no query of the corpus has a template';
comment on column queries.raw_sql is 'The text in the dump, or its template if the corpus keeps no SQL; null if no query of the corpus has a template';
comment on column queries.db_id is 'The database of the query, if the dump names it; a number if the corpus keeps no SQL';
comment on column queries.question is 'The question that the query answers, if the dump has it';
comment on column queries.n_occurrences is 'How often the query counts';
comment on column queries.template_id is 'The template; null if the query was rejected';
comment on column queries.reject_reason is 'Why the query has no template; null if it has one';
comment on column queries.id is 'The id of the question in the dump, if it has ids';
comment on column queries.question_ordinal is 'Predictions: the ordinal of the question in their target. Others: the ordinal of the first query of the same question, mostly the query''s own';
comment on column queries.part is 'The source of the query in a mixture, as the dump names it';

comment on view ngram_counts is 'How often each n-gram occurs in each corpus, read from the Parquet files of the counts.';
comment on column ngram_counts.corpus is 'The corpus';
comment on column ngram_counts.ngram is 'The tokens, separated by one space';
comment on column ngram_counts.ngram_length is 'n, in tokens: 1 to 15';
comment on column ngram_counts.n_occurrences is 'Occurrences in all queries of the corpus';
comment on column ngram_counts.example_ordinal is 'Ordinal of the first query with the n-gram';
