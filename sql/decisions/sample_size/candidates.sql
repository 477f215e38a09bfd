-- Training sets that have n-grams, with their numbers of n-grams and what the additive divergence
-- adds for n-grams that the target lacks (as in measures/matrix/count_values.sql).
-- parameters: epsilon, ngram_files
with totals as (
    select
        corpus,
        n_ngrams,
        n_distinct_ngrams
    from corpora
    where role = 'train' and not is_set_aside
)

select
    totals.corpus,
    any_value(totals.n_ngrams) as n_ngrams,
    any_value(totals.n_distinct_ngrams) as n_distinct_ngrams,
    sum(((counts.n_occurrences / totals.n_ngrams::double + $epsilon)
        * (ln(counts.n_occurrences / totals.n_ngrams::double + $epsilon) - ln($epsilon))
        * (1::bigint << 58))::bigint)::double / (1::bigint << 58) as alone_as_source
from read_parquet($ngram_files) as counts
join totals using (corpus)
group by totals.corpus
order by totals.corpus
