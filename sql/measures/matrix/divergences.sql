-- All measures of each ordered pair of contents of which one is new, pairs of a content with itself
-- included (specification, section 4). With P the source, n-grams that are not shared add:
--   skew: ln(1 / skew) times the share of P that Q lacks;
--   additive: (p + e) ln((p + e) / e) for those of P, e ln(e / (q + e)) for those of Q, all divided
--     by 1 + e |union|;
--   Jensen-Shannon: ln(2) / 2 times the share of each that the other lacks.
-- parameters: skew, epsilon
with sums_of_pairs as (
    select
        a_id,
        b_id,
        sum(n_shared)::bigint as n_shared,
        sum(a_shared)::bigint as a_shared,
        sum(b_shared)::bigint as b_shared,
        sum(a_skew) as a_skew,
        sum(b_skew) as b_skew,
        sum(a_additive) as a_additive,
        sum(b_additive) as b_additive,
        sum(jensen_shannon) as jensen_shannon,
        sum(a_in_templates)::bigint as a_in_templates,
        sum(b_in_templates)::bigint as b_in_templates,
        sum(a_in_texts)::bigint as a_in_texts,
        sum(b_in_texts)::bigint as b_in_texts
    from pair_sums
    group by a_id, b_id
),

directed_sums as (
    select
        a_id as source_id, b_id as target_id, n_shared, a_shared as source_shared,
        b_shared as target_shared, a_skew as skew, a_additive as additive, jensen_shannon,
        b_in_templates as target_in_templates, b_in_texts as target_in_texts
    from sums_of_pairs
    union all
    select
        b_id as source_id, a_id as target_id, n_shared, b_shared as source_shared,
        a_shared as target_shared, b_skew as skew, b_additive as additive, jensen_shannon,
        a_in_templates as target_in_templates, a_in_texts as target_in_texts
    from sums_of_pairs
),

pairs as (
    select
        source.content_id as source_id,
        target.content_id as target_id,
        source.content_key as source_key,
        target.content_key as target_key,
        source.content_id = target.content_id as is_same
    from contents as source
    cross join contents as target
    where source.is_new or target.is_new
),

measured as (
    select
        pairs.*,
        p.n_ngrams as source_ngrams,
        q.n_ngrams as target_ngrams,
        p.n_distinct_ngrams + q.n_distinct_ngrams - coalesce(sums.n_shared, 0) as n_union,
        coalesce(sums.source_shared, 0) as source_shared,
        coalesce(sums.target_shared, 0) as target_shared,
        coalesce(sums.skew, 0)::double / (1::bigint << 58) as skew,
        (p.alone_as_source + q.alone_as_target + coalesce(sums.additive, 0))::double
        / (1::bigint << 58) as additive,
        coalesce(sums.jensen_shannon, 0)::double / (1::bigint << 58) as jensen_shannon,
        coalesce(sums.target_in_templates, 0) / n_templated.n_templated::double
            as template_coverage,
        if(
            source_texts.has_texts and n_templated.has_texts,
            coalesce(sums.target_in_texts, 0) / n_templated.n_templated::double,
            null
        ) as exact_overlap
    from pairs
    join content_totals as p on pairs.source_id = p.content_id
    join content_totals as q on pairs.target_id = q.content_id
    join n_templated on pairs.target_id = n_templated.content_id
    join n_templated as source_texts on pairs.source_id = source_texts.content_id
    left join directed_sums as sums
        on pairs.source_id = sums.source_id and pairs.target_id = sums.target_id
),

divergences as (
    select
        source_id,
        target_id,
        source_key,
        target_key,
        case when is_same then 0.0 else
            least(ln(1 / $skew), greatest(0.0,
                ln(1 / $skew) * ((source_ngrams - source_shared) / source_ngrams::double) + skew))
        end as kl_nats,
        case when is_same then 0.0 else
            greatest(0.0, additive / (1 + $epsilon * n_union))
        end as additive_kl_nats,
        case when is_same then 0.0 else
            least(ln(2.0), greatest(0.0, (
                ln(2.0) * ((source_ngrams - source_shared) / source_ngrams::double
                    + (target_ngrams - target_shared) / target_ngrams::double)
                + jensen_shannon) / 2))
        end as js_nats,
        if(is_same, 1.0, target_shared / target_ngrams::double) as ngram_coverage,
        if(is_same, 1.0, template_coverage) as template_coverage,
        if(is_same, 1.0, exact_overlap) as exact_overlap
    from measured
)

select
    forward.source_key,
    forward.target_key,
    forward.kl_nats,
    reverse.kl_nats as reverse_kl_nats,
    exp(-forward.kl_nats / ln(1 / $skew)) as kl_alignment,
    forward.additive_kl_nats,
    exp(-forward.additive_kl_nats / ln((1 + $epsilon) / $epsilon)) as additive_kl_alignment,
    forward.js_nats,
    1 - forward.js_nats / ln(2.0) as js_alignment,
    forward.ngram_coverage,
    forward.template_coverage,
    forward.exact_overlap
from divergences as forward
join divergences as reverse
    on forward.source_id = reverse.target_id and forward.target_id = reverse.source_id
order by forward.source_key, forward.target_key
