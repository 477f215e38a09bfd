-- The n-grams of new contents and the candidates, numbered in no particular order, and the value
-- (content and count) of each content that has them. vocabulary_files are those of the contents
-- that are new or have candidates. Takes only the n-grams of one of n_partitions partitions (see
-- ngrams/partition_of.sql), and of new contents only the candidates unless with_new is true. If all
-- contents are new, an n-gram that one content alone has adds to the sums of no pair, and is left
-- out unless it is a candidate.
-- parameters: ngram_files, vocabulary_files, partition, n_partitions, with_new
create or replace temp table vocabulary as
with searched as (
    select
        counted.ngram,
        contents.is_new,
        coalesce(counted.n_occurrences >= candidates.least_occurrences, false) as is_candidate
    from read_parquet($vocabulary_files) as counted
    join contents using (corpus)
    left join candidates using (content_id)
    where $n_partitions = 1 or partition_of(counted.ngram, $n_partitions) = $partition
)

select
    ngram,
    (row_number() over () - 1)::integer as ngram_id
from (
    select ngram
    from searched
    where is_candidate or (is_new and $with_new)
    group by ngram
    having bool_or(is_candidate) or count(*) > 1 or exists (from contents where not is_new)
);

create or replace temp table counts as
select
    count_values.value_id,
    vocabulary.ngram_id
from read_parquet($ngram_files) as counted
join vocabulary using (ngram)
join contents using (corpus)
join count_values using (content_id, n_occurrences);
