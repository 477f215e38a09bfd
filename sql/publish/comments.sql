-- What the public tables and their columns mean, in the database itself.
-- parameters: none
comment on table corpora is 'The corpora of the last run, with their counts.';
comment on column corpora.corpus is 'The name in the corpora file';
comment on column corpora.role is 'train: could be fine-tuned on; target: the workload to serve; predictions: a model''s answers to a target''s questions';
comment on column corpora.format is 'How the dump is laid out';
comment on column corpora.dialect is 'The dialect that the queries were parsed in, by sqlglot''s name';
comment on column corpora.path is 'The dump';
comment on column corpora.digest is 'SHA-256 of the dump''s content';
comment on column corpora.license is 'The dump''s licence, where the corpora file says it';
comment on column corpora.model is 'For predictions: the model that made them';
comment on column corpora.trained_on is 'The corpus that the model behind these predictions was fine-tuned on; null for an untuned model';
comment on column corpora.target is 'The corpus whose questions these predictions answer';
comment on column corpora.n_queries is 'Queries in the dump';
comment on column corpora.n_templated is 'Queries with a template';
comment on column corpora.n_rejected is 'Queries without a template; queries.reject_reason says why';
comment on column corpora.n_distinct_queries is 'Different texts of queries';
comment on column corpora.n_distinct_templates is 'Different templates';
comment on column corpora.n_distinct_ngrams is 'Different n-grams: rows of ngram_counts';
comment on column corpora.n_ngrams is 'Occurrences of n-grams, over all queries';
comment on column corpora.is_set_aside is 'True where no query gave an n-gram: such a corpus has no distribution and no alignment';
comment on column corpora.ngrams_file is 'The Parquet file of the corpus''s n-gram counts; ngram_counts is a view over these';
comment on column corpora.ingested_at is 'When the dump was read';

comment on table queries is 'Every query of every corpus, in the order of its dump.';
comment on column queries.corpus is 'The corpus that has the query';
comment on column queries.ordinal is 'Place in the dump, from 0; predictions answer the question of the same ordinal of their target';
comment on column queries.sql is 'The text that was templated';
comment on column queries.raw_sql is 'The text as it stands in the dump';
comment on column queries.db_id is 'The database that the query is for, where the dump says it';
comment on column queries.question is 'What the query answers, where the dump says it';
comment on column queries.n_occurrences is 'How often the query counts';
comment on column queries.template_id is 'Null where the query was rejected';
comment on column queries.reject_reason is 'Why the query has no template; null where it has one';

comment on table templates is 'The structural templates of the queries.';
comment on column templates.template_id is 'MD5 of the template, in hexadecimal';
comment on column templates.template is 'Its tokens, apart by one space';
comment on column templates.n_tokens is 'Length in tokens; ORDER BY, GROUP BY and PARTITION BY are one token';

comment on view ngram_counts is 'How often each n-gram occurs in each corpus: the Parquet files that this database was made from.';
comment on column ngram_counts.corpus is 'The corpus that has the n-gram';
comment on column ngram_counts.ngram is 'Its tokens, apart by one space';
comment on column ngram_counts.ngram_length is 'n, in tokens, 1 to 15';
comment on column ngram_counts.n_occurrences is 'Occurrences over all queries of the corpus';
comment on column ngram_counts.example_ordinal is 'The ordinal of the first query that has the n-gram';

comment on table alignment is 'How the n-gram distribution of each source diverges from that of each target, for every ordered pair.';
comment on column alignment.source is 'The corpus P: a training set, or predictions';
comment on column alignment.target is 'The corpus Q that P is compared with';
comment on column alignment.kl_nats is 'KL(source || target), the target smoothed with 1 % of the source (skew divergence), in nats: 0 to ln 100';
comment on column alignment.reverse_kl_nats is 'The same with source and target swapped';
comment on column alignment.kl_alignment is 'exp(-kl_nats / ln 100): 1 for equal distributions, 1/e where nothing is shared';
comment on column alignment.additive_kl_nats is 'KL(source || target) with 1e-8 added to each probability, in nats';
comment on column alignment.additive_kl_alignment is 'exp(-additive_kl_nats / ln((1 + 1e-8) / 1e-8))';
comment on column alignment.js_nats is 'Jensen-Shannon divergence, in nats: 0 to ln 2';
comment on column alignment.js_alignment is '1 - js_nats / ln 2';
comment on column alignment.ngram_coverage is 'Share of the target''s n-gram occurrences whose n-gram occurs in the source';
comment on column alignment.template_coverage is 'Share of the target''s templated queries whose whole template occurs in the source';
comment on column alignment.exact_overlap is 'Share of the target''s templated queries whose text stands in the source: leakage, not fitness';

comment on table alignment_ratio is 'Alignment Ratio of each training set, for each set of predictions on a target.';
comment on column alignment_ratio.train is 'The training set';
comment on column alignment_ratio.target is 'The target of both';
comment on column alignment_ratio.model is 'The model that made the predictions';
comment on column alignment_ratio.predictions is 'The model''s answers to the target''s questions';
comment on column alignment_ratio.trained_on is 'The corpus that this model was fine-tuned on; null for an untuned model';
comment on column alignment_ratio.train_alignment is 'kl_alignment of the training set with the target';
comment on column alignment_ratio.predictions_alignment is 'kl_alignment of the predictions with the target';
comment on column alignment_ratio.predictions_parsed_share is 'Share of the predictions that have a template: the model is judged on these only';
comment on column alignment_ratio.alignment_ratio is 'train_alignment / predictions_alignment: above 1, the training set is closer to the target than the model is';
comment on column alignment_ratio.ci_low is 'Lower end of the 95 % interval; null until intervals are computed';
comment on column alignment_ratio.ci_high is 'Upper end of the 95 % interval; null until intervals are computed';
comment on column alignment_ratio.verdict is 'gain, no gain or undecided; null until intervals are computed';

comment on table tuning_effect is 'Alignment of a model''s predictions with their target before and after fine-tuning.';
comment on column tuning_effect.model is 'The model';
comment on column tuning_effect.trained_on is 'The corpus that it was fine-tuned on';
comment on column tuning_effect.target is 'The corpus whose questions were answered';
comment on column tuning_effect.predictions_before is 'Answers of the untuned model';
comment on column tuning_effect.predictions_after is 'Answers of the tuned model';
comment on column tuning_effect.alignment_before is 'kl_alignment of the untuned predictions with the target';
comment on column tuning_effect.alignment_after is 'kl_alignment of the tuned predictions with the target';
comment on column tuning_effect.js_before is 'Jensen-Shannon divergence of the untuned predictions from the target, in nats';
comment on column tuning_effect.js_after is 'Jensen-Shannon divergence of the tuned predictions from the target, in nats';

comment on table ngram_contributions is 'The 20 n-grams that make most of each divergence from a target, in each direction.';
comment on column ngram_contributions.source is 'The corpus P';
comment on column ngram_contributions.target is 'The corpus Q, a target';
comment on column ngram_contributions.direction is 'over: terms of KL(source || target), which sum to kl_nats over all n-grams; under: terms of KL(target || source), which sum to reverse_kl_nats';
comment on column ngram_contributions.rank is '1 for the largest contribution of its direction';
comment on column ngram_contributions.ngram is 'Its tokens, apart by one space';
comment on column ngram_contributions.source_probability is 'Its share of the source''s n-gram occurrences';
comment on column ngram_contributions.target_probability is 'Its share of the target''s n-gram occurrences';
comment on column ngram_contributions.contribution_nats is 'The n-gram''s term, in nats';
comment on column ngram_contributions.folded_under is 'The longest of these n-grams that contains it and occurs as often in both corpora, so that it says nothing of its own; null where there is none';
comment on column ngram_contributions.example_sql is 'The first query that has the n-gram: of the source for over, of the target for under';

comment on table structural_features is 'How often each corpus uses each named structure: what it counts stands in docs/explain.md.';
comment on column structural_features.corpus is 'Whose templated queries';
comment on column structural_features.feature is 'The structure: inner_join, nesting_depth, window_function, hardness_extra, ...';
comment on column structural_features.n_queries is 'Queries that have it at least once';
comment on column structural_features.share is 'Their share of the corpus''s templated queries';
comment on column structural_features.mean is 'How often a templated query has it on average: joins, predicates, levels, tokens';

comment on table runs is 'The runs that published this warehouse''s results, the last one included.';
comment on column runs.run_id is 'A name for the run, made at random';
comment on column runs.started_at is 'When the run began';
comment on column runs.finished_at is 'When its results were published';
comment on column runs.parameters is 'The values it computed with';
comment on column runs.versions is 'Versions of everything that can change a number';
comment on column runs.corpora_digests is 'SHA-256 of each corpus''s dump';
comment on column runs.set_aside is 'Corpora that the run could not take, with the reason';
comment on column runs.results_key is 'Equal for runs whose results are the same: a digest of corpora, stages and versions';
