-- Create the public tables, empty (specification, section 8).
-- parameters: none
create table corpora (
    corpus varchar primary key,
    role varchar not null,
    format varchar not null,
    dialect varchar not null,
    path varchar not null,
    digest varchar not null,
    license varchar,
    model varchar,
    trained_on varchar,
    target varchar,
    n_queries bigint not null,
    n_templated bigint not null,
    n_rejected bigint not null,
    n_distinct_queries bigint not null,
    n_distinct_templates bigint not null,
    n_distinct_ngrams bigint not null,
    n_ngrams bigint not null,
    is_set_aside boolean not null,
    ngrams_file varchar not null,
    templates_file varchar not null,
    queries_file varchar not null,
    ingested_at timestamptz not null,
    n_rows bigint not null,
    n_cleaned bigint not null,
    cleaning varchar not null,
    encoding varchar not null,
    n_replaced_characters bigint not null,
    retired_at timestamptz,
    reject_reasons varchar not null,
    question_weight bigint not null,
    cleaned_by varchar not null,
    n_not_queries bigint not null,
    parsed_share double not null,
    keeps_sql boolean not null
);

create table templates (
    template_id varchar not null,
    template varchar not null,
    n_tokens bigint not null
);

create table alignment (
    source varchar not null,
    target varchar not null,
    kl_nats double not null,
    reverse_kl_nats double not null,
    kl_alignment double not null,
    additive_kl_nats double not null,
    additive_kl_alignment double not null,
    js_nats double not null,
    js_alignment double not null,
    ngram_coverage double not null,
    template_coverage double not null,
    exact_overlap double,
    source_parsed_share double not null,
    target_parsed_share double not null,
    is_unevenly_parsed boolean not null,
    doubts varchar[] not null
);

create table alignment_ratio (
    train varchar not null,
    target varchar not null,
    model varchar not null,
    predictions varchar not null,
    trained_on varchar,
    train_alignment double not null,
    predictions_alignment double not null,
    train_js_alignment double not null,
    predictions_js_alignment double not null,
    predictions_parsed_share double not null,
    alignment_ratio double not null,
    ci_low double,
    ci_high double,
    verdict varchar,
    reach double,
    reach_ratio double,
    reach_ci_low double,
    reach_ci_high double,
    reach_verdict varchar,
    reach_ln_standard_error double,
    parted_by varchar,
    n_parts bigint,
    train_template_coverage double,
    right_template_share double,
    ln_standard_error double,
    ln_bias double,
    train_unit varchar,
    n_train_units bigint,
    n_effective_train_units double,
    target_unit varchar,
    n_target_units bigint,
    n_effective_target_units double,
    predictions_unit varchar,
    n_predictions_units bigint,
    is_paired boolean,
    n_replicates bigint,
    seed bigint,
    n_cleaned bigint not null,
    alignment_ratio_as_written double,
    doubts varchar[] not null,
    n_answered bigint not null,
    n_questions bigint not null,
    is_part boolean not null,
    train_ci_low double,
    train_ci_high double,
    predictions_ci_low double,
    predictions_ci_high double,
    target_ceiling double
);

create table alignment_by_slice (
    train varchar not null,
    target varchar not null,
    slice varchar not null,
    n_queries bigint not null,
    n_templated bigint not null,
    train_alignment double,
    reach double,
    model varchar,
    predictions varchar,
    predictions_alignment double,
    predictions_parsed_share double,
    alignment_ratio double,
    reach_ratio double,
    doubts varchar[] not null
);

create table alignment_intervals (
    source varchar not null,
    target varchar not null,
    kl_alignment double not null,
    ci_low double,
    ci_high double,
    target_ceiling double,
    ln_standard_error double,
    ln_bias double,
    source_unit varchar not null,
    n_source_units bigint not null,
    target_unit varchar not null,
    n_target_units bigint not null,
    is_paired boolean not null,
    n_replicates bigint not null,
    seed bigint not null,
    reach double,
    parted_by varchar,
    n_parts bigint
);

create table ceilings (
    target varchar not null,
    ceiling double,
    half_alignment double,
    half_low double,
    half_high double,
    quarter_alignment double,
    unit varchar not null,
    n_units bigint not null,
    n_queries bigint not null,
    n_splits bigint not null
);

create table tuning_effect (
    model varchar not null,
    trained_on varchar not null,
    target varchar not null,
    predictions_before varchar not null,
    predictions_after varchar not null,
    alignment_before double not null,
    alignment_after double not null,
    js_before double not null,
    js_after double not null
);

create table ngram_contributions (
    source varchar not null,
    target varchar not null,
    direction varchar not null,
    rank bigint not null,
    ngram varchar not null,
    source_probability double not null,
    target_probability double not null,
    contribution_nats double not null,
    folded_under varchar,
    example_sql varchar
);

create table structural_features (
    corpus varchar not null,
    feature varchar not null,
    n_queries bigint not null,
    share double not null,
    mean double not null,
    example_ordinal bigint
);

create table answer_errors (
    predictions varchar not null,
    target varchar not null,
    kind varchar not null,
    feature varchar,
    n_answers bigint not null,
    share double not null
);

create table sample_size (
    target varchar not null,
    smoothing varchar not null,
    n_queries bigint not null,
    n_candidates bigint not null,
    kendall_tau double not null,
    tau_low double not null,
    tau_high double not null,
    same_winner_share double not null,
    same_first_two_share double not null,
    candidates varchar[] not null,
    n_trials bigint not null,
    seed bigint not null,
    run_id varchar not null
);

create table runs (
    run_id varchar not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    parameters json not null,
    versions json not null,
    corpora_digests json not null,
    set_aside json not null,
    results_key varchar not null,
    notes json not null
);

create table alignment_history (
    run_id varchar not null,
    run_number bigint not null,
    started_at timestamptz not null,
    source varchar not null,
    target varchar not null,
    kl_nats double not null,
    kl_alignment double not null,
    js_alignment double not null,
    ngram_coverage double not null,
    template_coverage double not null,
    exact_overlap double,
    drift_from double,
    is_drift boolean not null
);

create table alignment_ratio_history (
    run_id varchar not null,
    run_number bigint not null,
    started_at timestamptz not null,
    train varchar not null,
    target varchar not null,
    model varchar not null,
    predictions varchar not null,
    train_alignment double not null,
    predictions_alignment double not null,
    alignment_ratio double not null,
    ci_low double,
    ci_high double,
    verdict varchar,
    is_verdict_changed boolean not null
);

create view alignment_change as
with ordered as (
    select
        *,
        lag(kl_alignment) over pair as previous_kl_alignment,
        lag(run_id) over pair as previous_run_id,
        first(kl_alignment) over pair as first_kl_alignment,
        row_number() over pair as n_runs,
        lead(run_number) over pair is null as is_last
    from alignment_history
    window pair as (partition by source, target order by run_number)
)

select
    source,
    target,
    kl_alignment,
    previous_kl_alignment,
    kl_alignment - previous_kl_alignment as change,
    first_kl_alignment,
    kl_alignment - first_kl_alignment as change_since_first,
    n_runs,
    is_drift,
    run_id,
    previous_run_id,
    started_at
from ordered
where is_last;

create view alignment_ratio_change as
with ordered as (
    select
        *,
        lag(alignment_ratio) over pair as previous_alignment_ratio,
        lag(verdict) over pair as previous_verdict,
        lag(run_id) over pair as previous_run_id,
        row_number() over pair as n_runs,
        lead(run_number) over pair is null as is_last
    from alignment_ratio_history
    window pair as (partition by train, predictions order by run_number)
)

select
    train,
    target,
    model,
    predictions,
    alignment_ratio,
    previous_alignment_ratio,
    alignment_ratio - previous_alignment_ratio as change,
    verdict,
    previous_verdict,
    n_runs,
    is_verdict_changed,
    run_id,
    previous_run_id,
    started_at
from ordered
where is_last;

create table headroom_ratio (
    train varchar not null,
    target varchar not null,
    predictions varchar not null,
    model varchar not null,
    trained_on varchar,
    alignment_ratio double not null,
    headroom_ratio double,
    best_weight double,
    gold_gain double,
    split_by varchar not null,
    n_splits bigint not null,
    seed varchar not null,
    run_id varchar not null
);

create table calibration (
    outcomes varchar not null,
    outcomes_digest varchar not null,
    model varchar not null,
    predictions varchar not null,
    train varchar not null,
    train_rows bigint,
    target varchar not null,
    metric varchar not null,
    before double not null,
    after double not null,
    gain double not null,
    part varchar not null,
    is_tuned boolean not null,
    outcome_case varchar not null,
    alignment_ratio double not null,
    headroom_ratio double,
    train_alignment double not null,
    predictions_alignment double not null,
    train_js_nats double not null,
    predictions_js_nats double not null,
    n_splits bigint not null,
    seed varchar not null,
    run_id varchar not null
);

create table calibration_summary (
    outcomes varchar not null,
    outcomes_digest varchar not null,
    metric varchar not null,
    outcome_case varchar not null,
    measure varchar not null,
    n_rows bigint not null,
    n_starting_points bigint not null,
    n_models bigint not null,
    n_gained bigint not null,
    spearman double,
    spearman_low double,
    spearman_high double,
    pearson double,
    pearson_low double,
    pearson_high double,
    n_true_gain bigint,
    n_false_gain bigint,
    n_missed_gain bigint,
    n_true_none bigint,
    cut double,
    cut_low double,
    cut_high double,
    n_replicates bigint not null,
    seed varchar not null,
    run_id varchar not null
);

create table calibration_parts (
    outcomes varchar not null,
    outcomes_digest varchar not null,
    train varchar not null,
    target varchar not null,
    train_rows bigint not null,
    n_draws bigint not null,
    alignment_whole double not null,
    alignment_mean double not null,
    alignment_sd double not null,
    alignment_low double not null,
    alignment_high double not null,
    seed varchar not null,
    run_id varchar not null
);

-- The corpora of an earlier run whose rows stay, empty in a new database; see delete_outdated.sql.
create temp table known_corpora as from corpora;

create table selections (
    selection varchar not null,
    run_id varchar not null,
    target varchar not null,
    method varchar not null,
    budget bigint not null,
    seed bigint not null,
    parameters json not null,
    n_taken bigint not null,
    n_taken_templates bigint not null,
    kl_nats double not null,
    kl_alignment double not null,
    pool_alignment double not null,
    best_size bigint,
    source varchar not null,
    license varchar,
    n_queries bigint not null,
    n_rejected bigint not null,
    n_overlapping bigint not null,
    n_accidental bigint,  -- null in rows of earlier versions
    n_repeated bigint not null,
    n_candidates bigint not null,
    n_taken_from_source bigint not null,
    n_templates_from_source bigint not null,
    source_alignment double,
    alignment_without_source double,
    digest varchar not null,
    created_at timestamptz not null
);

create table selection_curves (
    selection varchar not null,
    run_id varchar not null,
    target varchar not null,
    method varchar not null,
    n_rows bigint not null,
    n_templates bigint not null,
    kl_nats double not null,
    kl_alignment double not null,
    random_alignment double not null
);

create table mixtures (
    mixture varchar not null,
    run_id varchar not null,
    target varchar not null,
    seed bigint not null,
    replicates bigint not null,
    unit varchar not null,
    source varchar not null,
    ngram_weight double not null,
    row_weight double not null,
    row_weight_low double not null,
    row_weight_high double not null,
    source_alignment double not null,
    kl_nats double not null,
    kl_alignment double not null,
    gap_nats double not null,
    pool_alignment double not null,
    created_at timestamptz not null
);

create table gaps (
    run_id varchar not null,
    source varchar not null,
    target varchar not null,
    rank bigint not null,
    template varchar not null,
    structure varchar not null,
    n_rows bigint not null,
    n_rows_so_far bigint not null,
    kl_alignment double not null,
    source_alignment double not null,
    n_in_target bigint not null,
    share_in_target double not null,
    n_in_source bigint not null,
    n_in_pool bigint not null,
    example_corpus varchar,
    example_ordinal bigint,
    example_sql varchar,
    example_question varchar,
    budget bigint not null,
    replicates bigint not null,
    seed bigint not null,
    created_at timestamptz not null
);
