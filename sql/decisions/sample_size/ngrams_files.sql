-- The files of the n-gram counts of a target and of all training sets that have n-grams.
-- parameters: target
select ngrams_file
from corpora
where corpus = $target or (role = 'train' and not is_set_aside)
order by corpus
