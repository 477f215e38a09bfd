-- The templates of targets that training sets lack rows of, each with an example.
-- parameters: most
select
    source,
    target,
    rank,
    structure,
    template,
    n_rows,
    n_rows_so_far,
    kl_alignment,
    source_alignment,
    n_in_target,
    n_in_source,
    n_in_pool,
    example_corpus,
    example_sql,
    max(n_rows_so_far) over pair as n_rows_in_all,
    max(rank) over pair as n_templates_in_all,
    arg_max(kl_alignment, rank) over pair as alignment_with_all
from gaps
window pair as (partition by source, target)
qualify rank <= $most
order by target, source, rank
