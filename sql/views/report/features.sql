-- How often each corpus uses each named structure.
-- parameters: none
select
    corpus,
    feature,
    share,
    mean
from structural_features
order by corpus, feature
