-- The n-gram counts of one corpus, or of one partition of its n-grams, from the counts of its parts. N-grams of some
-- lengths only, in tokens.
-- parameters: corpus, parts, partition, shortest, longest
select
    $corpus::varchar as corpus,
    ngram,
    ngram_length,
    sum(n_occurrences)::bigint as n_occurrences,
    min(example_ordinal) as example_ordinal
from read_parquet($parts)
where partition = $partition and ngram_length between $shortest and $longest
group by ngram, ngram_length
order by ngram_length, ngram
