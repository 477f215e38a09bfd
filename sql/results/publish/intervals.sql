-- Add intervals, reach, verdicts and ceilings. Expects given_corpora, given_compared (corpus, compared_with),
-- given_verdicts (train, predictions, verdict, reach_verdict, doubts, template_coverage, right_template_share) and the
-- filled tables alignment and alignment_ratio. A training set that no mixture of its parts improves has its alignment
-- as its reach; one with the content of the target has no row in $reaches.
-- parameters: intervals, ratios, reaches, ceilings
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
    made.seed,
    if(reaches.is_mixed, reaches.reach, if(reaches.train is not null, alignment.kl_alignment, null)) as reach,
    reaches.parted_by,
    reaches.n_parts
from read_parquet($intervals) as made
join alignment on made.source = alignment.source and made.target = alignment.target
join ceilings on made.target = ceilings.target
left join read_parquet($reaches) as reaches on made.source = reaches.train and made.target = reaches.target
join given_corpora as source on made.source = source.corpus
join given_corpora as target on made.target = target.corpus
order by source.position, target.position;

update alignment_ratio set
    ci_low = made.ci_low,
    ci_high = made.ci_high,
    ln_standard_error = made.ln_standard_error,
    ln_bias = made.ln_bias,
    train_unit = made.train_unit,
    n_train_units = made.n_train_units,
    n_effective_train_units = made.n_effective_train_units,
    target_unit = made.target_unit,
    n_target_units = made.n_target_units,
    n_effective_target_units = made.n_effective_target_units,
    predictions_unit = made.predictions_unit,
    n_predictions_units = made.n_predictions_units,
    is_paired = made.is_paired,
    n_replicates = made.n_replicates,
    seed = made.seed,
    reach_ci_low = made.reach_ci_low,
    reach_ci_high = made.reach_ci_high,
    reach_ln_standard_error = made.reach_ln_standard_error
from read_parquet($ratios) as made
where alignment_ratio.train = made.train and alignment_ratio.predictions = made.predictions;

update alignment_ratio set
    verdict = judged.verdict,
    reach_verdict = judged.reach_verdict,
    doubts = list_concat(alignment_ratio.doubts, judged.doubts),
    train_template_coverage = judged.template_coverage,
    right_template_share = judged.right_template_share,
    reach = train_alignment,
    reach_ratio = alignment_ratio,
    parted_by = 'none',
    n_parts = 1
from given_verdicts as judged
where alignment_ratio.train = judged.train and alignment_ratio.predictions = judged.predictions;

update alignment_ratio set
    reach = if(made.is_mixed, made.reach, train_alignment),
    reach_ratio = if(made.is_mixed, made.reach / predictions_alignment, alignment_ratio),
    parted_by = made.parted_by,
    n_parts = made.n_parts
from given_compared as compared, read_parquet($reaches) as made
where
    alignment_ratio.predictions = compared.corpus
    and alignment_ratio.train = made.train
    and compared.compared_with = made.target;

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
