-- Create macros for the literals of a query, and for whether they distinguish it from others.
-- parameters: none
create or replace temp macro literals_of(text) as
    list_transform(
        regexp_extract_all(text, '''(?:[^'']|'''')*''|"(?:[^"]|"")*"|\b[0-9]+(?:\.[0-9]+)?\b'),
        lambda literal: lower(trim(literal, '''"'))
    );

create or replace temp macro are_telling(literals) as
    len(list_filter(literals, lambda literal: not regexp_full_match(literal, '[0-9]{0,2}'))) > 0;
