-- Create macros for the literals of a query, for whether they distinguish it from others (short numbers and placeholders
-- such as var0 and city_name1 do not), and for the tables after FROM and JOIN.
-- parameters: none
create or replace temp macro literals_of(text) as
    list_transform(
        regexp_extract_all(text, '''(?:[^'']|'''')*''|"(?:[^"]|"")*"|\b[0-9]+(?:\.[0-9]+)?\b'),
        lambda literal: lower(trim(literal, '''"'))
    );

create or replace temp macro are_telling(literals) as
    len(list_filter(literals, lambda literal: not regexp_full_match(literal, '[0-9]{0,2}|[a-z_]+[0-9]{1,2}'))) > 0;

create or replace temp macro tables_of(text) as
    list_sort(list_distinct(list_transform(
        regexp_extract_all(text, '(?i)\b(?:from|join)\s+([\w$."`\[\]]+)', 1),
        lambda name: lower(regexp_replace(name, '["`\[\]]', '', 'g'))
    )));
