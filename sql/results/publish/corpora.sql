-- The corpora with their counts; a query counts as often as it occurs. The counts of known corpora are copied.
-- ngram_files has the counts of new_corpora; queries_files the queries of all corpora, of which only the footers are
-- read; hidden_files those of new corpora without SQL. Expects given_corpora, known_corpora and the view queries.
-- parameters: new_corpora, ngram_files, queries_files, hidden_files
insert into corpora
with query_counts as (
    select
        corpus,
        count(*) as n_rows,
        count(*) filter (
            sql != coalesce(raw_sql, '') and reject_reason is distinct from 'cut off by its log'
        ) as n_cleaned,
        sum(n_occurrences)::bigint as n_queries,
        coalesce(sum(n_occurrences) filter (template_id is not null), 0)::bigint as n_templated,
        coalesce(sum(n_occurrences) filter (
            starts_with(reject_reason, 'not a query, DML or DDL statement: ')
            or starts_with(reject_reason, 'left out by ')
        ), 0)::bigint as n_not_queries,
        count(distinct template_id) as n_distinct_templates
    from queries
    where corpus in $new_corpora
    group by corpus
    union all
    select
        corpus,
        n_rows,
        n_cleaned,
        n_queries,
        n_templated,
        n_not_queries,
        n_distinct_templates
    from known_corpora
),

-- The position of an error is not part of its reason.
reasons as (
    select
        corpus,
        regexp_replace(reject_reason, ' \(line \d+, column \d+\)$', '') as reason,
        sum(n_occurrences)::bigint as n
    from queries
    where reject_reason is not null and corpus in $new_corpora
    group by all
),

reason_counts as (
    select
        corpus,
        to_json(map(list(reason order by n desc, reason), list(n order by n desc, reason)))::varchar
            as reject_reasons
    from reasons
    group by corpus
    union all
    select corpus, reject_reasons
    from known_corpora
),

ngram_totals as (
    select
        corpus,
        count(*) as n_distinct_ngrams,
        sum(n_occurrences)::bigint as n_ngrams
    from read_parquet($ngram_files)
    where corpus in $new_corpora
    group by corpus
    union all
    select corpus, n_distinct_ngrams, n_ngrams
    from known_corpora
    where not is_set_aside
),

-- The view queries lacks the texts of corpora without SQL.
hidden_texts as (
    select
        given.corpus,
        count(*) filter (
            ingested.sql != coalesce(ingested.raw_sql, '')
            and ingested.reject_reason is distinct from 'cut off by its log'
        ) as n_cleaned
    from read_parquet($hidden_files, filename = true) as ingested
    join given_corpora as given on ingested.filename = given.queries_file
    where not given.has_sql and given.corpus in $new_corpora
    group by given.corpus
),

texts as (
    select
        file_name as queries_file,
        any_value(decode(value)) filter (decode(key) = 'encoding') as encoding,
        any_value(decode(value)) filter (decode(key) = 'n_replaced') as n_replaced,
        any_value(decode(value)) filter (decode(key) = 'question_weight') as question_weight,
        any_value(decode(value)) filter (decode(key) = 'cleaned_by') as cleaned_by,
        -- Only queries without their texts have these.
        any_value(decode(value)) filter (decode(key) = 'n_cleaned') as n_cleaned,
        any_value(decode(value)) filter (decode(key) = 'n_distinct_queries') as n_distinct_queries
    from parquet_kv_metadata($queries_files)
    group by file_name
)

select
    given.corpus,
    given.role,
    given.format,
    given.dialect,
    given.path,
    given.digest,
    given.license,
    given.model,
    given.trained_on,
    given.target,
    query_counts.n_queries,
    query_counts.n_templated,
    query_counts.n_queries - query_counts.n_templated as n_rejected,
    coalesce(texts.n_distinct_queries::bigint, given.n_distinct_queries) as n_distinct_queries,
    query_counts.n_distinct_templates,
    coalesce(ngram_totals.n_distinct_ngrams, 0) as n_distinct_ngrams,
    coalesce(ngram_totals.n_ngrams, 0) as n_ngrams,
    ngram_totals.n_ngrams is null as is_set_aside,
    given.ngrams_file,
    given.public_templates_file as templates_file,
    given.public_queries_file as queries_file,
    given.ingested_at,
    query_counts.n_rows,
    coalesce(hidden_texts.n_cleaned, texts.n_cleaned::bigint, query_counts.n_cleaned) as n_cleaned,
    given.cleaning,
    coalesce(texts.encoding, 'utf-8') as encoding,
    coalesce(texts.n_replaced::bigint, 0) as n_replaced_characters,
    given.retired_at,
    coalesce(reason_counts.reject_reasons, '{}') as reject_reasons,
    coalesce(texts.question_weight::bigint, 1) as question_weight,
    coalesce(texts.cleaned_by, '{}') as cleaned_by,
    query_counts.n_not_queries,
    case
        when given.role = 'predictions' then query_counts.n_templated / query_counts.n_queries::double
        when query_counts.n_queries > query_counts.n_not_queries
            then query_counts.n_templated / (query_counts.n_queries - query_counts.n_not_queries)::double
        else 0
    end as parsed_share,
    given.keeps_sql
from given_corpora as given
join query_counts using (corpus)
left join ngram_totals using (corpus)
left join reason_counts using (corpus)
left join hidden_texts using (corpus)
left join texts using (queries_file)
order by given.position;
