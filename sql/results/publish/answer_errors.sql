-- The template of each answer beside that of its question's query: how many answers have the same, another or no
-- template, and how many of all answers use a named structure less or more often than their query (of several, the
-- first with a template). Answers to questions of which no query has a template are left out. known_answer_errors has the
-- rows of pairs whose contents have not changed. Expects the table of template_features.sql, given_paired (corpus,
-- target) with the other pairs, known_pairs (corpus, target), the view queries, and the filled tables templates and
-- corpora.
-- Temporary tables let the order of joins follow from their true sizes, which are not known of files.
-- parameters: compared
create or replace temp table answered_templates as
with asked as (
    select corpus as target, question_ordinal, template_id, ordinal
    from queries
    where corpus in $compared and template_id is not null
),

first_asked as (
    select target, question_ordinal, arg_min(template_id, ordinal) as asked_template_id
    from asked
    group by target, question_ordinal
),

-- With their targets, so that all later joins are on targets too.
given_answers as materialized (
    select
        queries.corpus as predictions,
        paired.target,
        queries.question_ordinal,
        queries.template_id,
        queries.n_occurrences
    from queries
    join given_paired as paired on queries.corpus = paired.corpus
    where queries.corpus in $compared
)

select
    given.predictions,
    given.target,
    given.template_id,
    first_asked.asked_template_id,
    case
        when given.template_id is null then 'no_template'
        when asked.template_id is null then 'other_template'
        else 'right_template'
    end as kind,
    count(*) as n_answers,
    sum(given.n_occurrences)::bigint as weight
from given_answers as given
join first_asked on given.target = first_asked.target and given.question_ordinal = first_asked.question_ordinal
left join (select distinct target, question_ordinal, template_id from asked) as asked
    on
        given.target = asked.target
        and given.question_ordinal = asked.question_ordinal
        and given.template_id = asked.template_id
group by all;

create or replace temp table feature_uses as
from (
    unpivot (
        select * exclude (length_tokens, hardness_easy, hardness_medium, hardness_hard, hardness_extra)
        from template_features
        where
            template_id in (
                select unnest([template_id, asked_template_id])
                from answered_templates
                where kind = 'other_template'
            )
    ) on columns(* exclude (template_id)) into name feature value n_uses
);

insert into answer_errors
with totals as (
    select predictions, target, sum(weight)::bigint as weight
    from answered_templates
    group by predictions, target
),

differences as (
    select
        answered.*,
        given.feature,
        sign(given.n_uses - wanted.n_uses) as difference,
        bool_and(difference = 0) over (
            partition by answered.predictions, answered.template_id, answered.asked_template_id
        ) as is_same
    from answered_templates as answered
    join feature_uses as given on answered.template_id = given.template_id
    join feature_uses as wanted on answered.asked_template_id = wanted.template_id and given.feature = wanted.feature
    where answered.kind = 'other_template'
),

counted as (
    select predictions, kind, null as feature, n_answers, weight
    from answered_templates
    union all
    select predictions, 'same_structures' as kind, null as feature, n_answers, weight
    from differences
    where is_same and feature = 'joins'
    union all
    select predictions, if(difference < 0, 'lacks', 'adds') as kind, feature, n_answers, weight
    from differences
    where difference != 0
),

shares as (
    select
        counted.predictions,
        totals.target,
        counted.kind,
        counted.feature,
        sum(counted.n_answers)::bigint as n_answers,
        sum(counted.weight) / totals.weight::double as share
    from counted
    join totals on counted.predictions = totals.predictions
    group by counted.predictions, totals.target, counted.kind, counted.feature, totals.weight
    union all
    select known.predictions, known.target, known.kind, known.feature, known.n_answers, known.share
    from known_answer_errors as known
    join known_pairs on known.predictions = known_pairs.corpus and known.target = known_pairs.target
)

select shares.*
from shares
join corpora on shares.predictions = corpora.corpus
order by
    corpora.rowid,
    list_position(
        ['right_template', 'other_template', 'no_template', 'same_structures', 'lacks', 'adds'], shares.kind
    ),
    shares.share desc,
    shares.feature;
