-- The n-gram counts of all contents, with numbers for contents and n-grams, and each content's sums.
-- Expects the table contents (content_id, corpus, is_new). All sums of floating-point terms, here and in
-- the other files of this folder, are sums of integers (term * 2^58, rounded), so that neither the order
-- of rows nor the number of threads can change a bit of them.
-- parameters: ngram_files, epsilon
create or replace temp table vocabulary as
select
    ngram,
    (row_number() over (order by ngram))::integer as ngram_id
from (select distinct ngram from read_parquet($ngram_files));

create or replace temp table counts as
with totals as (
    select
        corpus,
        sum(n_occurrences) as n_ngrams
    from read_parquet($ngram_files)
    group by corpus
),

probabilities as (
    select
        contents.content_id,
        contents.is_new,
        vocabulary.ngram_id,
        read_counts.n_occurrences,
        read_counts.n_occurrences / totals.n_ngrams::double as p
    from read_parquet($ngram_files) as read_counts
    join totals using (corpus)
    join contents using (corpus)
    join vocabulary using (ngram)
)

select
    content_id,
    is_new,
    ngram_id,
    n_occurrences,
    p,
    ln(p) as ln_p,
    p + $epsilon as p_smoothed,
    ln(p + $epsilon) as ln_p_smoothed,
    (p + $epsilon) * (ln(p + $epsilon) - ln($epsilon)) as alone_as_source,
    $epsilon * (ln($epsilon) - ln(p + $epsilon)) as alone_as_target
from probabilities;

create or replace temp table content_totals as
select
    content_id,
    sum(n_occurrences)::bigint as n_ngrams,
    count(*) as n_distinct_ngrams,
    sum((alone_as_source * (1::bigint << 58))::bigint) as alone_as_source,
    sum((alone_as_target * (1::bigint << 58))::bigint) as alone_as_target
from counts
group by content_id;
