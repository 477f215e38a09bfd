-- The measures of one pair of corpora, and the files with their n-grams.
-- parameters: source, target
select
    alignment.kl_nats,
    alignment.reverse_kl_nats,
    alignment.kl_alignment,
    alignment.ngram_coverage,
    intervals.ci_low,
    intervals.ci_high,
    source.ngrams_file as source_file,
    target.ngrams_file as target_file
from alignment
join corpora as source on alignment.source = source.corpus
join corpora as target on alignment.target = target.corpus
left join alignment_intervals as intervals
    on alignment.source = intervals.source and alignment.target = intervals.target
where alignment.source = $source and alignment.target = $target
