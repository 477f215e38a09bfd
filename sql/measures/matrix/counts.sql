-- The n-grams that some new content has, or that are candidates of a content, with numbers in no order, and
-- which contents have them how often: value_id stands for a content and a count. vocabulary_files are those
-- of the contents that are new or have candidates. Only n-grams of one partition of n_partitions are taken
-- (see ngrams/partition_of.sql); those of new contents that are no candidates, where with_new is true.
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
