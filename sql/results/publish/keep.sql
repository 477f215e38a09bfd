-- Leaves in an earlier run's tables what holds still: the n-grams that make the divergences, and the features, of
-- corpora whose content is the same; of queries see forget.sql. The others are emptied, to be filled anew. Expects
-- given_corpora.
-- parameters: none
create or replace temp table known_corpora as
select corpora.*
from corpora
join given_corpora as given
    on corpora.corpus = given.corpus and corpora.ngrams_file = given.ngrams_file;

delete from ngram_contributions
where
    source not in (select corpus from known_corpora)
    or target not in (select corpus from known_corpora)
    or target not in (select corpus from given_corpora where role = 'target');

delete from structural_features
where corpus not in (select corpus from known_corpora);

delete from corpora;
delete from alignment;
delete from alignment_ratio;
delete from alignment_intervals;
delete from ceilings;
delete from tuning_effect;
