-- The corpora that a run has with other content than the run before it, or that this one did not have: all of them in
-- the first run.
-- parameters: run_id
with numbered as (
    select
        run_id,
        json_keys(corpora_digests) as names,
        corpora_digests,
        lag(corpora_digests) over (order by rowid) as digests_before
    from runs
),

listed as (
    select
        unnest(names) as corpus,
        corpora_digests,
        digests_before
    from numbered
    where run_id = $run_id
),

held_against_before as (
    select
        corpus,
        json_extract_string(corpora_digests, '$."' || corpus || '"') as digest,
        json_extract_string(digests_before, '$."' || corpus || '"') as digest_before
    from listed
)

select corpus, digest_before is null as is_new
from held_against_before
where digest is distinct from digest_before
order by corpus;
