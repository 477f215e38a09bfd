-- The number of occurrences of each n-gram of a target in each training set.
-- parameters: ngram_files, target
select
    counts.corpus,
    counts.ngram,
    counts.n_occurrences
from read_parquet($ngram_files) as counts
join corpora using (corpus)
where corpora.role = 'train' and counts.ngram in (
    select ngram from read_parquet($ngram_files) where corpus = $target
)
order by counts.corpus, counts.ngram
