-- The n-grams of new contents and the candidates, numbered in no particular order, and the value
-- (content and count) of each content that has them. vocabulary_files are those of the contents
-- that are new or have candidates. Takes only the n-grams of one of n_partitions partitions (see
-- ngrams/partition_of.sql), and of new contents only the candidates unless with_new is true.
-- parameters: ngram_files, vocabulary_files, partition, n_partitions, with_new
create or replace temp table vocabulary as
select
    ngram,
    (row_number() over () - 1)::integer as ngram_id
from (
    select distinct counted.ngram
    from read_parquet($vocabulary_files) as counted
    join contents using (corpus)
    left join candidates using (content_id)
    where
        (
            (contents.is_new and $with_new)
            or counted.n_occurrences >= candidates.least_occurrences
        )
        and ($n_partitions = 1 or partition_of(counted.ngram, $n_partitions) = $partition)
);

create or replace temp table counts as
select
    count_values.value_id,
    vocabulary.ngram_id
from read_parquet($ngram_files) as counted
join vocabulary using (ngram)
join contents using (corpus)
join count_values using (content_id, n_occurrences);
