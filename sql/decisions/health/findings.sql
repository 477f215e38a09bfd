-- The duplicates, leaks and contradictions of all training sets and targets: a row per query and relation, with the
-- strongest way in which it repeats an earlier one. duplicate: within a corpus, on the same database. shared: a corpus
-- of the same role that comes earlier has it. leak: a training set has a row of a target. Expects the macros of
-- decisions/selection/literals.sql, and template_paths (templates_file, templates_path).
-- parameters: templates_files
with texts as (
    select
        corpora.rowid as position,
        corpora.corpus,
        corpora.role,
        asked.ordinal,
        coalesce(asked.db_id, '') as db_id,
        asked.template_id,
        parsed.comparable_key::varchar as sql_key,
        if(
            are_telling(literals_of(asked.sql)),
            md5(asked.template_id || literals_of(asked.sql)::varchar || tables_of(asked.sql)::varchar), null
        ) as near_sql_key,
        trim(asked.question) as question_key,
        nullif(regexp_replace(lower(asked.question), '[^\p{L}\p{N}]+', ' ', 'g').trim(), '') as near_question_key
    from queries as asked
    join corpora on asked.corpus = corpora.corpus
    join template_paths using (templates_file)
    join read_parquet($templates_files, filename = true) as parsed
        on asked.sql = parsed.sql and parsed.filename = template_paths.templates_path
    where asked.template_id is not null and corpora.role != 'predictions'
),

keys as (
    unpivot (
        select
            position, corpus, role, ordinal, db_id,
            sql_key || chr(31) || question_key as "1 pair",
            sql_key as "2 sql",
            question_key as "3 question",
            near_sql_key || chr(31) || near_question_key as "4 near-pair",
            near_sql_key as "5 near-sql",
            near_question_key as "6 near-question"
        from texts
    ) on "1 pair", "2 sql", "3 question", "4 near-pair", "5 near-sql", "6 near-question"
    into name way value key
),

numbered as (
    select
        *,
        first_value(ordinal) over same as first_ordinal
    from keys
    window same as (partition by corpus, db_id, way, key order by ordinal)
),

first_of_corpora as (
    select role, position, corpus, way, key, min(ordinal) as ordinal
    from keys
    group by all
),

relations as (
    select 'duplicate' as relation, corpus, ordinal, way, corpus as other_corpus, first_ordinal as other_ordinal
    from numbered
    where first_ordinal < ordinal

    union all

    select 'leak', keys.corpus, keys.ordinal, keys.way, others.corpus, others.ordinal
    from keys
    join first_of_corpora as others
        on keys.way = others.way and keys.key = others.key
    where keys.role = 'train' and others.role = 'target'

    union all

    select 'shared', keys.corpus, keys.ordinal, keys.way, others.corpus, others.ordinal
    from keys
    join first_of_corpora as others
        on keys.way = others.way and keys.key = others.key
    where keys.role = others.role and others.position < keys.position
),

conflicts as (
    select
        *,
        first_value(ordinal) over same as first_ordinal,
        first_value(template_id) over same as first_template_id
    from texts
    where question_key is not null
    window same as (partition by corpus, db_id, question_key order by ordinal)
),

findings as (
    select
        relation || '-' || substr(min(way), 3) as kind,
        corpus,
        ordinal,
        arg_min(other_corpus, (way, other_corpus)) as other_corpus,
        arg_min(other_ordinal, (way, other_corpus)) as other_ordinal,
        null::varchar as detail
    from relations
    group by relation, corpus, ordinal

    union all

    select 'contradiction', corpus, ordinal, corpus, first_ordinal, 'another template for the same question'
    from conflicts
    where template_id != first_template_id

    union all

    select 'reject', corpus, ordinal, null, null, reject_reason
    from queries
    where reject_reason is not null
)

select * from findings
order by corpus, kind, ordinal
