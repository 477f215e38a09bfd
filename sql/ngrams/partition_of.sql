-- Macro for the partition of an n-gram, among n_partitions (a power of two up to 65,536). File names hold the
-- partition, so it comes from MD5, which is the same everywhere.
-- parameters: none
create or replace temp macro partition_of(ngram, n_partitions) as
    ('0x' || md5(ngram)[:4])::integer % n_partitions
