-- The number of n-grams of some contents that occur once, twice, and so on. Expects the table
-- contents.
-- parameters: ngram_files
select
    contents.content_key,
    counted.n_occurrences,
    count(*) as n_distinct
from read_parquet($ngram_files) as counted
join contents using (corpus)
group by contents.content_key, counted.n_occurrences
