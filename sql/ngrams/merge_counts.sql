-- The n-gram counts of one corpus, or of one partition of its n-grams, from the counts of its parts.
-- parameters: corpus, parts, partition
select
    $corpus::varchar as corpus,
    ngram,
    ngram_length,
    sum(n_occurrences)::bigint as n_occurrences,
    min(example_ordinal) as example_ordinal
from read_parquet($parts)
where partition = $partition
group by ngram, ngram_length
order by ngram_length, ngram
