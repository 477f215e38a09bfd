-- The sums of each pair, in rows to be added up: for each partition, pair_sums.sql adds those over
-- n-grams, and unit_sums.sql the numbers of queries whose template or text the other content has.
-- parameters: none
create or replace temp table pair_sums (
    a_id integer,
    b_id integer,
    n_shared bigint default 0,
    a_shared bigint default 0,
    b_shared bigint default 0,
    a_skew hugeint default 0,
    b_skew hugeint default 0,
    a_additive hugeint default 0,
    b_additive hugeint default 0,
    jensen_shannon hugeint default 0,
    a_in_templates bigint default 0,
    b_in_templates bigint default 0,
    a_in_texts bigint default 0,
    b_in_texts bigint default 0
);
