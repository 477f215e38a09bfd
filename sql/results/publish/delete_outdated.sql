-- Delete the rows of an earlier run that are out of date. Contributions and features of corpora whose content has not
-- changed stay; tables that are cheap to fill are emptied. Expects given_corpora.
-- parameters: none
create or replace temp table known_corpora as
select corpora.*
from corpora
join given_corpora as given
    on corpora.corpus = given.corpus and corpora.ngrams_file = given.ngrams_file;

create or replace temp table known_answer_errors as
select *
from answer_errors
where predictions in (select corpus from known_corpora) and target in (select corpus from known_corpora);

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
delete from answer_errors;
delete from alignment_by_slice;
