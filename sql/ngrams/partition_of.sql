-- In which of n_partitions, a power of two up to 65,536, an n-gram is. By MD5, which is the same everywhere:
-- files are named by these numbers.
-- parameters: none
create or replace temp macro partition_of(ngram, n_partitions) as
    ('0x' || md5(ngram)[:4])::integer % n_partitions
