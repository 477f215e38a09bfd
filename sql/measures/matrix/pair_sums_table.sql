-- The table that pair_sums.sql adds to: a row for each pair and partition of the n-grams.
-- parameters: none
create or replace temp table pair_sums (
    a_id integer,
    b_id integer,
    n_shared bigint,
    a_shared bigint,
    b_shared bigint,
    a_skew hugeint,
    b_skew hugeint,
    a_additive hugeint,
    b_additive hugeint,
    jensen_shannon hugeint
);
