-- N-gram counts of one partition of a corpus, summed over the counts of its parts, for a range of lengths in tokens.
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
