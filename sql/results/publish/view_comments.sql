-- The comments on the view of the n-gram counts, which each run creates again.
-- parameters: none
comment on view ngram_counts is 'How often each n-gram occurs in each corpus: the Parquet files that this database was made from.';
comment on column ngram_counts.corpus is 'The corpus that has the n-gram';
comment on column ngram_counts.ngram is 'Its tokens, apart by one space';
comment on column ngram_counts.ngram_length is 'n, in tokens, 1 to 15';
comment on column ngram_counts.n_occurrences is 'Occurrences over all queries of the corpus';
comment on column ngram_counts.example_ordinal is 'The ordinal of the first query that has the n-gram';
