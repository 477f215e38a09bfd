-- The n-grams of some corpora, numbered in their order.
-- parameters: ngram_files
select
    ngram,
    (row_number() over (order by ngram) - 1)::bigint as ngram_id
from (select distinct ngram from read_parquet($ngram_files))
order by ngram
