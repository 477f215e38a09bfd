-- Add intervals, verdicts and ceilings. Expects given_corpora, given_compared (corpus, compared_with) and the filled
-- tables alignment and alignment_ratio.
-- parameters: intervals, ratios, ceilings
insert into ceilings
select
    made.target,
    made.ceiling,
    made.half_alignment,
    made.half_low,
    made.half_high,
    made.quarter_alignment,
    made.unit,
    made.n_units,
    made.n_queries,
    made.n_splits
from read_parquet($ceilings) as made
join given_corpora as target on made.target = target.corpus
order by target.position;

insert into alignment_intervals
select
    made.source,
    made.target,
    alignment.kl_alignment,
    made.ci_low,
    made.ci_high,
    ceilings.ceiling as target_ceiling,
    made.ln_standard_error,
    made.ln_bias,
    made.source_unit,
    made.n_source_units,
    made.target_unit,
    made.n_target_units,
    made.is_paired,
    made.n_replicates,
    made.seed
from read_parquet($intervals) as made
join alignment on made.source = alignment.source and made.target = alignment.target
join ceilings on made.target = ceilings.target
join given_corpora as source on made.source = source.corpus
join given_corpora as target on made.target = target.corpus
order by source.position, target.position;

update alignment_ratio set
    ci_low = made.ci_low,
    ci_high = made.ci_high,
    verdict = made.verdict,
    ln_standard_error = made.ln_standard_error,
    ln_bias = made.ln_bias,
    train_unit = made.train_unit,
    n_train_units = made.n_train_units,
    target_unit = made.target_unit,
    n_target_units = made.n_target_units,
    predictions_unit = made.predictions_unit,
    n_predictions_units = made.n_predictions_units,
    is_paired = made.is_paired,
    n_replicates = made.n_replicates,
    seed = made.seed
from read_parquet($ratios) as made
where alignment_ratio.train = made.train and alignment_ratio.predictions = made.predictions;

update alignment_ratio set
    train_ci_low = of_train.ci_low,
    train_ci_high = of_train.ci_high
from given_compared as compared, read_parquet($intervals) as of_train
where
    alignment_ratio.predictions = compared.corpus
    and alignment_ratio.train = of_train.source
    and compared.compared_with = of_train.target;

update alignment_ratio set
    predictions_ci_low = of_predictions.ci_low,
    predictions_ci_high = of_predictions.ci_high
from given_compared as compared, read_parquet($intervals) as of_predictions
where
    alignment_ratio.predictions = compared.corpus
    and compared.corpus = of_predictions.source
    and compared.compared_with = of_predictions.target;

update alignment_ratio set target_ceiling = made.ceiling
from given_compared as compared, read_parquet($ceilings) as made
where alignment_ratio.predictions = compared.corpus and compared.compared_with = made.target;
