-- The comments on the view of the n-gram counts, which each run creates again.
-- parameters: none
comment on view ngram_counts is 'How often each n-gram occurs in each corpus, read from the Parquet files of the counts.';
comment on column ngram_counts.corpus is 'The corpus';
comment on column ngram_counts.ngram is 'The tokens, separated by one space';
comment on column ngram_counts.ngram_length is 'n, in tokens: 1 to 15';
comment on column ngram_counts.n_occurrences is 'Occurrences in all queries of the corpus';
comment on column ngram_counts.example_ordinal is 'Ordinal of the first query with the n-gram';
