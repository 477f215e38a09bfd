-- The n-gram counts of one corpus, from the counts of its parts.
-- parameters: corpus, parts
select
    $corpus::varchar as corpus,
    ngram,
    ngram_length,
    sum(n_occurrences)::bigint as n_occurrences,
    min(example_ordinal) as example_ordinal
from read_parquet($parts)
group by ngram, ngram_length
order by ngram_length, ngram
