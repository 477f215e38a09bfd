-- The distinct n-grams of some corpora, in their order.
-- parameters: ngram_files
select distinct ngram
from read_parquet($ngram_files)
order by ngram
