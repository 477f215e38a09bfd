"""SQL and prose that start with the same words."""

import pytest

from nl2sql_align.tasks.ingest.sql_signs import looks_like_sql
from tests.timing import fastest_seconds

SQL = """
SELECT 1 + 1
SELECT name FROM harbour
select name n from harbour h where depth > 5 order by name desc nulls last
select distinct b.kind from boat as b left outer join berth on berth.boat = b.id
select count ( * ) from boat where kind is not null and built between 1990 and 2000
select 'the names of all boats' from boat
select current_date
with deep as (select 1) select * from deep
WITH a (x, y) AS NOT MATERIALIZED (SELECT 1, 2) SELECT x FROM a
from boat select name
insert into boat (name) values ('the big one')
update boat set kind = 'tug' where id = 3
delete from boat where id = 3
create table boat (id int not null primary key autoincrement, name varchar(20))
CREATE UNIQUE INDEX i ON boat (kind)
drop table if exists boat
(select name from boat) union all (select name from ship)
-- the deep ones
select name from harbour
SELECT Current slogan FROM table WHERE State/territory = South Australia
select current slogan from table where away team score = 3
values (1, 2)
truncate table boat
merge into boat using ship on boat.id = ship.id when matched then delete
"""
PROSE = """
Select the names of all boats
Select the names of all boats.
Select boats from the harbour of Kiel
select all boats
Select distinct harbours with more than five boats
Which boats are there?
With which harbour is the boat linked?
With how many boats (in 2020) does it trade?
Show tables of the port
Find the boats
From which harbour did the boat leave?
Update the record of the boat
Delete all boats that are old
Insert a new boat
Create a list of all boats
Drop the oldest boats
Values of all boats
Table of boats
Comment on the boats
select = 1
Replace the harbour master
Merge both lists
Truncate the numbers to two digits
Alter the schedule
Select a boat whose name starts with A
null
SELECT
How do I write SELECT name FROM boat?
"""


@pytest.mark.parametrize("text", SQL.replace("ones\n", "ones\0").strip().split("\n"))
def test_sql_looks_like_sql(text):
    assert looks_like_sql(text.replace("\0", "\n"))


@pytest.mark.parametrize("text", PROSE.strip().split("\n"))
def test_prose_does_not_look_like_sql(text):
    assert not looks_like_sql(text)


HOSTILE = ["select '", "(", "/*", "select a, ", "-- x\n", "update x ", "[", "a b ", "as ", "not "]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("start", ["", "select "])
def test_long_texts_take_linear_time(start, piece):
    def measure(n_pieces):
        text = start + piece * n_pieces
        return fastest_seconds(lambda: looks_like_sql(text, max_characters=1_000_000))

    # A quadratic step takes sixteen times as long.
    assert measure(40_000) < 10 * max(measure(10_000), 0.005)
