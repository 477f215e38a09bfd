-- Every n-gram of two corpora with its terms of KL(source || target) and KL(target || source), by the formula of the
-- matrix. A term is 0 if the divergence's first corpus lacks the n-gram.
-- parameters: source_file, target_file, skew
with source as (
    select ngram, ngram_length, example_ordinal, n_occurrences / (sum(n_occurrences) over ())::double as p
    from read_parquet($source_file)
),

target as (
    select ngram, ngram_length, example_ordinal, n_occurrences / (sum(n_occurrences) over ())::double as p
    from read_parquet($target_file)
),

both_sides as (
    select
        coalesce(source.ngram, target.ngram) as ngram,
        coalesce(source.ngram_length, target.ngram_length) as ngram_length,
        coalesce(source.p, 0.0) as source_probability,
        coalesce(target.p, 0.0) as target_probability,
        source.example_ordinal as source_ordinal,
        target.example_ordinal as target_ordinal
    from source
    full join target on source.ngram = target.ngram
)

select
    *,
    if(
        source_probability > 0,
        -source_probability * ln((1 - $skew) * (target_probability / source_probability) + $skew),
        0.0
    ) as over_nats,
    if(
        target_probability > 0,
        -target_probability * ln((1 - $skew) * (source_probability / target_probability) + $skew),
        0.0
    ) as under_nats
from both_sides
order by ngram_length desc, ngram
