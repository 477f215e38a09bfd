-- The number of occurrences of each n-gram of a target in each training set.
-- parameters: target
select
    counts.corpus,
    counts.ngram,
    counts.n_occurrences
from ngram_counts as counts
join corpora using (corpus)
where corpora.role = 'train' and counts.ngram in (
    select ngram from ngram_counts where corpus = $target
)
order by counts.corpus, counts.ngram
