-- The template of each answer beside that of its question's query: how many answers have the same, another or no
-- template, and how many of all answers use a named structure less or more often than their query (of several, the
-- first with a template). Answers to questions of which no query has a template are left out. Expects the macro of
-- template_features.sql, given_paired (corpus, target) and the filled tables queries, templates and corpora.
-- parameters: compared
insert into answer_errors
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

answers as (
    select
        queries.corpus as predictions,
        first_asked.target,
        queries.template_id,
        first_asked.asked_template_id,
        case
            when queries.template_id is null then 'no_template'
            when asked.template_id is null then 'other_template'
            else 'right_template'
        end as kind,
        count(*) as n_answers,
        sum(queries.n_occurrences)::bigint as weight
    from queries
    join given_paired as paired on queries.corpus = paired.corpus
    join first_asked on paired.target = first_asked.target and queries.question_ordinal = first_asked.question_ordinal
    left join (select distinct target, question_ordinal, template_id from asked) as asked
        on
            paired.target = asked.target
            and queries.question_ordinal = asked.question_ordinal
            and queries.template_id = asked.template_id
    group by all
),

totals as (
    select predictions, target, sum(weight)::bigint as weight
    from answers
    group by predictions, target
),

features as (
    unpivot (
        select * exclude (length_tokens, hardness_easy, hardness_medium, hardness_hard, hardness_extra)
        from template_features($compared)
    ) on columns(* exclude (template_id)) into name feature value n_uses
),

differences as (
    select
        answers.*,
        given.feature,
        sign(given.n_uses - wanted.n_uses) as difference,
        bool_and(difference = 0) over (
            partition by answers.predictions, answers.template_id, answers.asked_template_id
        ) as is_same
    from answers
    join features as given on answers.template_id = given.template_id
    join features as wanted on answers.asked_template_id = wanted.template_id and given.feature = wanted.feature
    where answers.kind = 'other_template'
),

counted as (
    select predictions, kind, null as feature, n_answers, weight
    from answers
    union all
    select predictions, 'same_structures' as kind, null as feature, n_answers, weight
    from differences
    where is_same and feature = 'joins'
    union all
    select predictions, if(difference < 0, 'lacks', 'adds') as kind, feature, n_answers, weight
    from differences
    where difference != 0
)

select
    counted.predictions,
    totals.target,
    counted.kind,
    counted.feature,
    sum(counted.n_answers)::bigint as n_answers,
    sum(counted.weight) / totals.weight::double as share
from counted
join totals on counted.predictions = totals.predictions
join corpora on counted.predictions = corpora.corpus
group by corpora.rowid, counted.predictions, totals.target, counted.kind, counted.feature, totals.weight
order by
    corpora.rowid,
    list_position(
        ['right_template', 'other_template', 'no_template', 'same_structures', 'lacks', 'adds'], counted.kind
    ),
    share desc,
    counted.feature;
