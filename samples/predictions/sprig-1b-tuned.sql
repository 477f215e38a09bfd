SELECT T1.common_name, T2.seed_count FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id
SELECT T2.member_name, T1.seed_count FROM packet AS T1 JOIN member AS T2 ON T1.member_id = T2.member_id
SELECT member_name FROM member WHERE packets_borrowed > (SELECT AVG(packets_borrowed) FROM member)
SELECT member_name FROM member GROUP BY member_name HAVING packets_borrowed > AVG(packets_borrowed)
SELECT COUNT(*) FROM packet
SELECT topic FROM workshop WHERE level = 'open'
SELECT topic FROM workshop WHERE level = 'beginner'
SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id JOIN member AS T3 ON T2.member_id = T3.member_id WHERE T3.member_name = 'Thandi Mokoena' AND T3.member_name = 'Ines Prado'
SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id ORDER BY T2.seed_count DESC LIMIT 1
SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id ORDER BY T2.seed_count DESC LIMIT 1
SELECT T1.member_name, T2.seed_count FROM member AS T1 JOIN packet AS T2 ON T1.member_id = T2.member_id
SELECT T1.member_name, T2.seed_count FROM member AS T1, packet AS T2 WHERE T1.member_id = T2.member_id
SELECT DISTINCT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id WHERE T2.store = 'drawer'
SELECT T1.topic FROM workshop AS T1 JOIN member AS T2 ON T1.member_id =
SELECT COUNT(*) FROM plant
SELECT COUNT(*) FROM packet
SELECT common_name FROM plant ORDER BY height_cm DESC LIMIT 1
SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id JOIN member AS T3 ON T2.member_id = T3.member_id WHERE T3.packets_borrowed > 14
SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id JOIN member AS T3 ON T2.member_id = T3.member_id WHERE T3.village = 'Appley' GROUP BY T1.plant_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id JOIN member AS T3 ON T2.member_id = T3.member_id WHERE T3.member_name = 'Ines Prado'
SELECT DISTINCT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id WHERE T2.seed_count < (SELECT AVG(seed_count) FROM packet)
SELECT village, SUM(CASE WHEN packets_borrowed > 2 THEN 1 ELSE 0 END) FROM member GROUP BY village
SELECT COUNT(*) FROM member WHERE member_id NOT IN (SELECT member_id FROM packet)
SELECT T2.common_name FROM packet AS T1 JOIN plant AS T2 ON T1.plant_id = T2.plant_id GROUP BY T1.plant_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT T2.common_name FROM packet AS T1 JOIN plant AS T2 ON T1.plant_id = T2.plant_id GROUP BY T1.plant_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT T1.common_name, T3.member_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id JOIN member AS T3 ON T2.member_id = T3.member_id
SELECT T1.common_name, T3.member_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id JOIN member AS T3 ON T2.member_id = T3.member_id
SELECT AVG(seed_count), store FROM packet GROUP BY store
SELECT common_name FROM plant EXCEPT SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id JOIN member AS T3 ON T2.member_id = T3.member_id WHERE T3.village = 'Coldwell'
SELECT COUNT(*), life_cycle FROM plant GROUP BY life_cycle
SELECT AVG(fee), MIN(fee), MAX(fee) FROM workshop WHERE level = 'beginner'
SELECT COUNT(*) FROM workshop WHERE places > 12
SELECT common_name FROM plant ORDER BY germination_days
SELECT level, COUNT(*) FROM workshop WHERE fee > 2 GROUP BY level
SELECT T1.member_name FROM member AS T1 JOIN workshop AS T2 ON T1.member_id = T2.member_id WHERE T2.level = 'beginner' INTERSECT SELECT T1.member_name FROM member AS T1 JOIN workshop AS T2 ON T1.member_id = T2.member_id WHERE T2.level = 'open'
SELECT topic FROM workshop WHERE fee > (SELECT AVG(fee) FROM workshop)
SELECT village FROM member WHERE age > 53 INTERSECT SELECT village FROM member WHERE age < 22
SELECT life_cycle, COUNT(*) FROM plant GROUP BY life_cycle
SELECT life_cycle FROM plant GROUP BY life_cycle ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM member WHERE packets_borrowed > 13
SELECT T1.member_name, COUNT(T2.packet_id) AS total FROM member AS T1 JOIN packet AS T2 ON T1.member_id = T2.member_id JOIN plant AS T3 ON T2.plant_id = T3.plant_id AND T3.life_cycle = 'biennial' GROUP BY T1.member_name ORDER BY total DESC LIMIT 1
SELECT village FROM member WHERE age > 82 INTERSECT SELECT village FROM member WHERE age < 26;
SELECT T1.member_name FROM member AS T1 INNER JOIN packet AS T2 ON T1.member_id = T2.member_id GROUP BY T1.member_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT family FROM plant WHERE height_cm > 230 INTERSECT SELECT family FROM plant WHERE height_cm < 70
SELECT DISTINCT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id WHERE T2.seed_count > 80
SELECT T1.member_name FROM member AS T1 JOIN packet AS T2 ON T1.member_id = T2.member_id JOIN plant AS T3 ON T2.plant_id = T3.plant_id WHERE T3.height_cm > 110
SELECT common_name FROM plant WHERE germination_days > (SELECT MAX(germination_days) FROM plant WHERE family = 'daisy')
SELECT common_name FROM plant EXCEPT SELECT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id WHERE T2.store = 'drawer'
SELECT common_name FROM plant WHERE plant_id NOT IN (SELECT plant_id FROM packet WHERE store = 'drawer')
SELECT topic FROM workshop WHERE fee > (SELECT MAX(fee) FROM workshop WHERE level = 'advanced')
SELECT T1.village, AVG(T2.places) FROM member AS T1 JOIN workshop AS T2 ON T1.member_id = T2.member_id GROUP BY T1.village
SELECT common_name FROM plant WHERE life_cycle = 'annual' ORDER BY height_cm
SELECT DISTINCT T1.common_name FROM plant AS T1 JOIN packet AS T2 ON T1.plant_id = T2.plant_id WHERE T2.seed_count > 100
SELECT life_cycle FROM plant EXCEPT SELECT life_cycle FROM plant WHERE family = 'cabbage'
SELECT life_cycle FROM plant EXCEPT SELECT life_cycle FROM plant WHERE family = 'cabbage'
SELECT village FROM member GROUP BY village HAVING AVG(packets_borrowed) >= 29
SELECT T2.seed_count FROM member AS T1 JOIN packet AS T2 ON T1.member_id = T2.member_id WHERE T2.store = 'cellar' AND T1.village = 'Coldwell'
SELECT places FROM workshop WHERE topic = 'seed cleaning'
SELECT COUNT(*) FROM workshop WHERE places > 22
SELECT COUNT(*) FROM workshop WHERE places > 22
SELECT topic FROM workshop ORDER BY places DESC LIMIT 2
SELECT T1.topic FROM workshop AS T1 JOIN member AS T2 ON T1.member_id = T2.member_id WHERE T2.member_name = 'Thandi Mokoena'
SELECT AVG(fee), MIN(fee), MAX(fee) FROM workshop WHERE level = 'open'
SELECT common_name FROM plant ORDER BY height_cm DESC LIMIT 5
SELECT store FROM packet GROUP BY store ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM member AS T1 JOIN workshop AS T2 ON T1.member_id = T2.member_id WHERE T1.member_name = 'Orla Fenn'
SELECT COUNT(*) FROM member AS T1 JOIN workshop AS T2 ON T1.member_id = T2.member_id WHERE T1.member_name = 'Orla Fenn'
SELECT member_name FROM member WHERE village = 'Thorne' AND packets_borrowed > 8
error
SELECT T1.museum_name FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id JOIN artefact AS T3 ON T2.artefact_id = T3.artefact_id WHERE T3.title = 'sail maker''s bench'
SELECT museum_name FROM museum EXCEPT SELECT T1.museum_name FROM museum AS T1 JOIN curator AS T2 ON T1.museum_id = T2.museum_id WHERE T2.specialism = 'textiles'
SELECT status FROM loan ORDER BY days ASC LIMIT 1
SELECT status FROM loan ORDER BY days ASC LIMIT 1
SELECT museum_name FROM museum WHERE museum_id NOT IN (SELECT museum_id FROM loan)
SELECT T2.age FROM museum AS T1 JOIN curator AS T2 ON T1.museum_id = T2.museum_id WHERE T2.specialism = 'maps' AND T1.city = 'Oakport'
SELECT title FROM artefact EXCEPT SELECT T1.title FROM artefact AS T1 JOIN loan AS T2 ON T1.artefact_id = T2.artefact_id WHERE T2.status = 'in transit'
SELECT title FROM artefact EXCEPT SELECT T1.title FROM artefact AS T1 JOIN loan AS T2 ON T1.artefact_id = T2.artefact_id WHERE T2.status = 'in transit'
SELECT DISTINCT T1.museum_name FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id WHERE T2.days < (SELECT AVG(days) FROM loan)
SELECT museum_name FROM museum WHERE museum_id NOT IN (SELECT museum_id FROM curator WHERE specialism = 'maps')
SELECT title FROM artefact WHERE artefact_id IN (SELECT artefact_id FROM loan GROUP BY artefact_id HAVING COUNT(*) >= 4)
SELECT T1.title FROM artefact AS T1 JOIN loan AS T2 ON T1.artefact_id = T2.artefact_id WHERE T2.status = 'in transit' INTERSECT SELECT T1.title FROM artefact AS T1 JOIN loan AS T2 ON T1.artefact_id = T2.artefact_id WHERE T2.status = 'agreed'
SELECT T1.museum_name, COUNT(T2.loan_id) AS total FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id JOIN artefact AS T3 ON T2.artefact_id = T3.artefact_id AND T3.material = 'glass' GROUP BY T1.museum_name ORDER BY total DESC LIMIT 1
SELECT museum_name FROM museum WHERE staff_count = (SELECT MAX(staff_count) FROM museum)
SELECT museum_name FROM museum WHERE annual_visitors > (SELECT MAX(annual_visitors) FROM museum WHERE museum_type = 'folk')
SELECT T1.material, AVG(T3.annual_visitors) FROM artefact AS T1 JOIN loan AS T2 ON T1.artefact_id = T2.artefact_id JOIN museum AS T3 ON T2.museum_id = T3.museum_id GROUP BY T1.material
SELECT museum_name FROM museum WHERE staff_count BETWEEN 100 AND 140
SELECT SUM(insured_value) FROM artefact WHERE material = 'bronze'
SELECT material FROM artefact ORDER BY insured_value LIMIT 1
SELECT SUM(exhibitions_led) FROM curator WHERE specialism = 'textiles'
SELECT title, material FROM artefact ORDER BY insured_value DESC
SELECT curator_name, specialism FROM curator ORDER BY age DESC
SELECT T2.museum_name, T3.title FROM loan AS T1 JOIN museum AS T2 ON T1.museum_id = T2.museum_id JOIN artefact AS T3 ON T1.artefact_id = T3.artefact_id
SELECT T1.museum_name, T3.title FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id JOIN artefact AS T3 ON T2.artefact_id = T3.artefact_id;
SELECT museum_name FROM museum WHERE city = 'Trevanne' AND staff_count > 10
SELECT museum_name FROM museum WHERE city = 'Oakport' UNION SELECT T1.museum_name FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id WHERE T2.status = 'returned'
SELECT COUNT(*) FROM curator
SELECT AVG(T1.days) FROM loan AS T1 JOIN museum AS T2 ON T1.museum_id = T2.museum_id WHERE T2.city = 'Lissen'
SELECT city FROM museum GROUP BY city HAVING COUNT(*) > 2
SELECT title FROM artefact WHERE artefact_id NOT IN (SELECT artefact_id FROM loan)
SELECT title FROM artefact WHERE artefact_id NOT IN (SELECT artefact_id FROM loan)
SELECT T1.curator_name FROM curator AS T1 JOIN museum AS T2 ON T1.museum_id = T2.museum_id WHERE T2.museum_name = 'Gallery Verst'
SELECT curator_name FROM curator WHERE museum_id = (SELECT museum_id FROM museum WHERE museum_name = 'Gallery Verst')
SELECT COUNT(*) FROM museum WHERE opened NOT BETWEEN 1870 AND 2000
SELECT curator_name FROM curator WHERE specialism = 'textiles' ORDER BY exhibitions_led
SELECT title FROM artefact WHERE material = 'wood' ORDER BY insured_value
SELECT T1.material, AVG(T2.days) FROM artefact AS T1 JOIN loan AS T2 ON T1.artefact_id = T2.artefact_id GROUP BY T1.material
SELECT T1.museum_name FROM museum AS T1 JOIN curator AS T2 ON T1.museum_id = T2.museum_id GROUP BY T1.museum_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT status, SUM(days) / COUNT(*) FROM loan GROUP BY status
SELECT status, AVG(days) FROM loan GROUP BY status
SELECT material FROM artefact GROUP BY material HAVING COUNT(*) > 2
SELECT MAX(age), MIN(age) FROM curator
SELECT curator_name FROM curator WHERE specialism = 'clocks'
SELECT COUNT(*), specialism FROM curator GROUP BY specialism
SELECT city, COUNT(*) FROM museum GROUP BY city
SELECT T2.days FROM museum AS T1 INNER JOIN loan AS T2 ON T1.museum_id = T2.museum_id WHERE T2.status = 'in transit' AND T1.city = 'Halvard'
SELECT T1.museum_name FROM museum AS T1 JOIN curator AS T2 ON T1.museum_id = T2.museum_id WHERE T2.specialism = 'textiles'
SELECT DISTINCT T1.museum_name FROM museum AS T1 JOIN curator AS T2 ON T1.museum_id = T2.museum_id WHERE T2.specialism = 'textiles'
SELECT title FROM artefact ORDER BY insured_value DESC LIMIT 1
SELECT curator_name FROM curator ORDER BY exhibitions_led DESC LIMIT 1
SELECT T1.museum_name FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id JOIN artefact AS T3 ON T2.artefact_id = T3.artefact_id WHERE T3.material = 'bronze' GROUP BY T1.museum_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT T1.museum_name, COUNT(*) FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id GROUP BY T1.museum_name
SELECT T1.museum_name, COUNT(*) FROM museum AS T1 JOIN loan AS T2 ON T1.museum_id = T2.museum_id GROUP BY T1.museum_id
SELECT DISTINCT material FROM artefact
SELECT COUNT(DISTINCT loan_id) FROM loan WHERE days > 200;
SELECT T2.museum_name FROM loan AS T1 JOIN museum AS T2 ON T1.museum_id = T2.museum_id GROUP BY T1.museum_id HAVING COUNT(*) >= 3
SELECT material, COUNT(*) FROM artefact GROUP BY material ORDER BY COUNT(*) DESC LIMIT 5
SELECT T1.museum_name FROM museum AS T1 WHERE EXISTS (SELECT 1 FROM curator AS T2 WHERE T2.museum_id = T1.museum_id AND T2.specialism = 'clocks')
SELECT material FROM artefact WHERE insured_value > 90200 INTERSECT SELECT material FROM artefact WHERE insured_value < 44800
SELECT COUNT(DISTINCT status) FROM loan
SELECT T2.curator_name, T1.museum_name FROM museum AS T1 JOIN curator AS T2 ON T1.museum_id = T2.museum_id ORDER BY T2.exhibitions_led
SELECT T1.curator_name FROM curator AS T1 JOIN museum AS T2 ON T1.museum_id = T2.museum_id WHERE T2.museum_name = 'Tillage Hall'
SELECT T2.curator_name FROM museum AS T1 JOIN curator AS T2 ON T1.museum_id = T2.museum_id WHERE T1.museum_name = 'Tillage Hall'
SELECT COUNT(*) FROM artefact WHERE insured_value > 33900
SELECT COUNT(*) FROM artefact WHERE insured_value > 33900;
SELECT COUNT(*) FROM artefact WHERE made_year < 1620 OR made_year > 1810
SELECT museum_type, MAX(staff_count), AVG(annual_visitors) FROM museum GROUP BY museum_type
SELECT beekeeper_name FROM beekeeper WHERE age BETWEEN 25 AND 72
SELECT beekeeper_name FROM beekeeper WHERE age BETWEEN 25 AND 72
SELECT apiary_name FROM apiary WHERE altitude >= 200 AND altitude <= 530
SELECT apiary_name FROM apiary WHERE altitude BETWEEN 200 AND 530
SELECT T2.frames FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id WHERE T2.hive_type = 'national' AND T1.landscape = 'town'
SELECT apiary_name FROM apiary ORDER BY altitude DESC LIMIT 3
SELECT apiary_name FROM apiary WHERE apiary_id NOT IN (SELECT apiary_id FROM hive)
SELECT apiary_name FROM apiary WHERE apiary_id NOT IN (SELECT apiary_id FROM hive)
SELECT apiary_name FROM apiary ORDER BY hive_places ASC
SELECT AVG(stings_last_year) FROM beekeeper WHERE certificate = 'master'
SELECT stings_last_year FROM beekeeper WHERE beekeeper_name = 'Signe Dahl'
SELECT COUNT(DISTINCT hive_id) AS total FROM hive
SELECT apiary_name FROM apiary WHERE altitude > (SELECT AVG(altitude) FROM apiary)
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id WHERE T2.hive_type = 'national'
SELECT COUNT(*), T2.apiary_name FROM hive AS T1 JOIN apiary AS T2 ON T1.apiary_id = T2.apiary_id GROUP BY T1.apiary_id
SELECT apiary_name, altitude FROM apiary
SELECT apiary_name, altitude FROM apiary
SELECT COUNT(*), T2.beekeeper_name FROM hive AS T1 JOIN beekeeper AS T2 ON T1.beekeeper_id = T2.beekeeper_id GROUP BY T1.beekeeper_id
SELECT DISTINCT T1.hive_type FROM hive AS T1 JOIN beekeeper AS T2 ON T1.beekeeper_id = T2.beekeeper_id WHERE T1.frames BETWEEN 10 AND 21 AND T2.beekeeper_name LIKE '%Dahl%'
SELECT beekeeper_name FROM beekeeper WHERE age = (SELECT MAX(age) FROM beekeeper)
SELECT beekeeper_name FROM beekeeper WHERE beekeeper_id NOT IN (SELECT beekeeper_id FROM hive)
SELECT COUNT(*) FROM beekeeper WHERE joined < 2002 OR joined > 2009
SELECT T2.apiary_name FROM hive AS T1 JOIN apiary AS T2 ON T1.apiary_id = T2.apiary_id GROUP BY T1.apiary_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT T2.apiary_name FROM hive AS T1 JOIN apiary AS T2 ON T1.apiary_id = T2.apiary_id GROUP BY T1.apiary_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT apiary_name FROM apiary WHERE landscape = 'woodland' AND altitude > 240
SELECT certificate FROM beekeeper ORDER BY stings_last_year ASC LIMIT 1
SELECT finding FROM inspection ORDER BY brood_frames LIMIT 1
SELECT beekeeper_name FROM beekeeper WHERE certificate = 'none'
SELECT beekeeper_name FROM beekeeper EXCEPT SELECT T1.beekeeper_name FROM beekeeper AS T1 JOIN hive AS T2 ON T1.beekeeper_id = T2.beekeeper_id JOIN apiary AS T3 ON T2.apiary_id = T3.apiary_id WHERE T3.landscape = 'woodland'
SELECT certificate FROM beekeeper GROUP BY certificate ORDER BY COUNT(*) DESC LIMIT 1
SELECT hive_type, COUNT(*) FROM hive GROUP BY hive_type ORDER BY COUNT(*) DESC LIMIT 4
SELECT apiary_name FROM apiary WHERE hive_places = (SELECT MAX(hive_places) FROM apiary) LIMIT 1
SELECT beekeeper_name FROM beekeeper WHERE age BETWEEN 27 AND 73
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id ORDER BY T2.frames DESC LIMIT 1
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id ORDER BY T2.frames DESC LIMIT 1
SELECT hive_type, AVG(frames) FROM hive GROUP BY hive_type
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id JOIN beekeeper AS T3 ON T2.beekeeper_id = T3.beekeeper_id WHERE T3.beekeeper_name = 'Amara Obi' INTERSECT SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id JOIN beekeeper AS T3 ON T2.beekeeper_id = T3.beekeeper_id WHERE T3.beekeeper_name = 'Vera Novak'
SELECT apiary_name, landscape FROM apiary ORDER BY hive_places DESC
SELECT apiary_name, landscape FROM apiary ORDER BY hive_places DESC
SELECT COUNT(*) FROM hive WHERE hive_type = 'national'
SELECT COUNT(*) FROM hive WHERE hive_type = 'national'

SELECT AVG(frames) FROM hive
SELECT finding FROM inspection ORDER BY minutes LIMIT 1
SELECT finding FROM inspection ORDER BY minutes ASC LIMIT 1
SELECT COUNT(*) FROM beekeeper WHERE beekeeper_id NOT IN (SELECT beekeeper_id FROM hive)
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id JOIN beekeeper AS T3 ON T2.beekeeper_id = T3.beekeeper_id WHERE T3.beekeeper_name = 'Vera Novak'
SELECT COUNT(*) FROM apiary WHERE apiary_id NOT IN (SELECT apiary_id FROM hive)
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id WHERE T2.hive_type = 'top bar'
SELECT COUNT(DISTINCT hive_type) FROM hive
SELECT COUNT(*) FROM hive WHERE built < 2007 OR built > 2020
SELECT beekeeper_name FROM beekeeper WHERE certificate = 'master'
SELECT beekeeper_name FROM beekeeper WHERE certificate = 'master'
SELECT T1.landscape FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id WHERE T2.hive_type = 'skep' INTERSECT SELECT T1.landscape FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id WHERE T2.hive_type = 'top bar'
SELECT COUNT(*) FROM beekeeper WHERE joined < 1997 OR joined > 2017
SELECT T1.beekeeper_name FROM beekeeper AS T1 JOIN hive AS T2 ON T1.beekeeper_id = T2.beekeeper_id JOIN apiary AS T3 ON T2.apiary_id = T3.apiary_id WHERE T3.landscape = 'heath' GROUP BY T1.beekeeper_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT beekeeper_name, certificate FROM beekeeper ORDER BY stings_last_year DESC
SELECT apiary_name, landscape FROM apiary ORDER BY altitude DESC
SELECT AVG(honey_kg), hive_type FROM hive GROUP BY hive_type
SELECT joined FROM beekeeper GROUP BY joined ORDER BY COUNT(*) DESC LIMIT 1
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id JOIN beekeeper AS T3 ON T2.beekeeper_id = T3.beekeeper_id WHERE T3.beekeeper_name = 'Vera Novak'
SELECT T1.hive_type, AVG(T2.brood_frames) FROM hive AS T1 JOIN inspection AS T2 ON T1.hive_id = T2.hive_id GROUP BY T1.hive_type
SELECT T2.apiary_name FROM hive AS T1 JOIN apiary AS T2 ON T1.apiary_id = T2.apiary_id GROUP BY T1.apiary_id HAVING COUNT(*) >= 5
SELECT hive_type FROM hive GROUP BY hive_type ORDER BY COUNT(*) DESC LIMIT 1
SELECT hive_type, COUNT(*) AS frequency FROM hive GROUP BY hive_type ORDER BY frequency DESC LIMIT 1
SELECT T1.beekeeper_name FROM beekeeper AS T1 JOIN hive AS T2 ON T1.beekeeper_id = T2.beekeeper_id GROUP BY T1.beekeeper_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT T1.apiary_name FROM apiary AS T1 JOIN hive AS T2 ON T1.apiary_id = T2.apiary_id GROUP BY T1.apiary_id HAVING COUNT(*) >= 2
SELECT hive_type, COUNT(*) FROM hive GROUP BY hive_type ORDER BY COUNT(*) DESC LIMIT 3
SELECT AVG(altitude) FROM hut WHERE valley = 'Kaldbach'
SELECT AVG(peaks_climbed) FROM hiker WHERE club = 'Boot and Pole'
SELECT SUM(peaks_climbed) / COUNT(peaks_climbed) FROM hiker WHERE club = 'Boot and Pole'
SELECT club FROM hiker GROUP BY club ORDER BY COUNT(*) DESC LIMIT 1
SELECT hiker_name FROM hiker WHERE club != 'Boot and Pole'
SELECT hut_name FROM hut WHERE beds > (SELECT AVG(beds) FROM hut)
SELECT club, COUNT(*) FROM hiker WHERE peaks_climbed > 38 GROUP BY club
SELECT T1.hut_name FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id ORDER BY T2.seasons_served DESC LIMIT 1
SELECT T1.hut_name FROM hut AS T1 JOIN stay AS T2 ON T1.hut_id = T2.hut_id WHERE T2.board = 'none'
SELECT board, COUNT(stay_id) AS total FROM stay GROUP BY board ORDER BY total DESC LIMIT 5
SELECT AVG(age), MIN(age), MAX(age) FROM warden WHERE nationality = 'Welsh'
SELECT valley, COUNT(hut_id) AS total FROM hut GROUP BY valley ORDER BY total DESC LIMIT 5
SELECT SUM(peaks_climbed) FROM hiker WHERE club = 'no club'
SELECT COUNT(*) FROM warden AS T1 JOIN hut AS T2 ON T1.hut_id = T2.hut_id WHERE T2.valley = 'Val Fosca'
SELECT T1.hiker_name FROM hiker AS T1 JOIN stay AS T2 ON T1.hiker_id = T2.hiker_id GROUP BY T1.hiker_id HAVING COUNT(*) >= 4;
SELECT T1.hut_name FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id WHERE T2.nationality = 'Slovene'
SELECT club, COUNT(*) FROM hiker GROUP BY club ORDER BY COUNT(*) DESC LIMIT 2
SELECT T1.hut_name, COUNT(*) FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id GROUP BY T1.hut_name
SELECT T1.hut_name, COUNT(*) FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id GROUP BY T1.hut_id
SELECT COUNT(*) FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id WHERE T1.hut_name = 'Snowfinch'
SELECT COUNT(*) FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id WHERE T1.hut_name = 'Snowfinch'
SELECT MAX(bill), MIN(bill) FROM stay;
SELECT AVG(beds) FROM hut
SELECT AVG(altitude) FROM hut
SELECT COUNT(*) FROM hut AS T1 JOIN stay AS T2 ON T1.hut_id = T2.hut_id JOIN hiker AS T3 ON T2.hiker_id = T3.hiker_id WHERE T1.valley = 'Kaldbach' AND T3.club = 'Boot and Pole'
SELECT COUNT(*) FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id WHERE T1.valley = 'Kaldbach';
SELECT T1.hiker_name FROM hiker AS T1 JOIN stay AS T2 ON T1.hiker_id = T2.hiker_id JOIN hut AS T3 ON T2.hut_id = T3.hut_id WHERE T3.valley = 'Sennental' GROUP BY T1.hiker_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(beds), AVG(altitude), valley FROM hut GROUP BY valley
SELECT T1.hut_name FROM hut AS T1 JOIN stay AS T2 ON T1.hut_id = T2.hut_id GROUP BY T1.hut_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT T2.hut_name FROM stay AS T1 JOIN hut AS T2 ON T1.hut_id = T2.hut_id GROUP BY T1.hut_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT warden_name FROM warden WHERE age > (SELECT MAX(age) FROM warden WHERE nationality = 'Basque')
SELECT COUNT(*) FROM warden
SELECT COUNT(*) FROM warden
SELECT COUNT(*) FROM warden WHERE nationality = 'Welsh'
SELECT T1.valley FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id WHERE T2.nationality = 'Swiss' INTERSECT SELECT T1.valley FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id WHERE T2.nationality = 'Slovene'
SELECT hut_name FROM hut WHERE valley = 'Larch Valley'
SELECT COUNT(*) FROM hiker WHERE club = 'Boot and Pole'
SELECT COUNT(*) FROM hiker WHERE club = 'Boot and Pole'
SELECT COUNT(*) FROM hut AS T1 JOIN stay AS T2 ON T1.hut_id = T2.hut_id JOIN hiker AS T3 ON T2.hiker_id = T3.hiker_id WHERE T1.valley = 'Val Fosca' AND T3.club = 'Boot and Pole'
SELECT seasons_served FROM warden WHERE warden_name = 'Iker Zubia'
SELECT seasons_served FROM warden WHERE warden_name = 'Iker Zubia'
SELECT warden_name, age FROM warden
SELECT T2.hut_name, T1.nights FROM stay AS T1 JOIN hut AS T2 ON T1.hut_id = T2.hut_id
SELECT T1.hut_name, T2.nights FROM hut AS T1 JOIN stay AS T2 ON T1.hut_id = T2.hut_id
SELECT club, COUNT(*) FROM hiker WHERE peaks_climbed > 30 GROUP BY club
SELECT T1.hiker_name FROM hiker AS T1 JOIN stay AS T2 ON T1.hiker_id = T2.hiker_id JOIN hut AS T3 ON T2.hut_id = T3.hut_id WHERE T3.altitude > 1200
SELECT COUNT(*) FROM stay WHERE bill > 220
SELECT DISTINCT T1.hut_name FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id WHERE T2.seasons_served < (SELECT AVG(seasons_served) FROM warden)
SELECT hiker_name FROM hiker ORDER BY peaks_climbed ASC
SELECT hiker_name FROM hiker ORDER BY peaks_climbed
SELECT hut_name FROM hut WHERE valley = 'Val Fosca' AND altitude > 1800
SELECT hut_name FROM hut WHERE valley = 'Val Fosca' AND altitude > 1600
SELECT nationality FROM warden ORDER BY seasons_served ASC LIMIT 1
SELECT hut_name FROM hut WHERE beds > (SELECT MAX(beds) FROM hut WHERE valley = 'Val Fosca')
SELECT DISTINCT T1.hut_name FROM hut AS T1 JOIN stay AS T2 ON T1.hut_id = T2.hut_id WHERE T2.nights > 4;
SELECT warden_name, nationality, seasons_served FROM warden
SELECT T1.hut_name FROM hut AS T1 JOIN warden AS T2 ON T1.hut_id = T2.hut_id GROUP BY T1.hut_id HAVING COUNT(*) >= 3
SELECT T2.hut_name FROM warden AS T1 JOIN hut AS T2 ON T1.hut_id = T2.hut_id GROUP BY T1.hut_id HAVING COUNT(*) >= 3
SELECT hut_name FROM hut WHERE altitude = (SELECT MAX(altitude) FROM hut);
SELECT T1.hut_name FROM hut AS T1 JOIN stay AS T2 ON T1.hut_id = T2.hut_id JOIN hiker AS T3 ON T2.hiker_id = T3.hiker_id WHERE T3.club = 'no club' GROUP BY T1.hut_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM hut WHERE hut_id NOT IN (SELECT hut_id FROM warden)
SELECT hiker_name FROM hiker ORDER BY age DESC LIMIT 4
SELECT T1.warden_name FROM warden AS T1 JOIN hut AS T2 ON T1.hut_id = T2.hut_id WHERE T2.hut_name = 'Raven Saddle'
SELECT valley FROM hut GROUP BY valley ORDER BY COUNT(*) DESC LIMIT 1
SELECT hut_name FROM hut WHERE valley = 'Kaldbach'
SELECT nationality FROM warden ORDER BY age LIMIT 1
SELECT hut_name FROM hut WHERE valley = 'Sennental' ORDER BY altitude
SELECT year FROM stay GROUP BY year ORDER BY COUNT(*) DESC LIMIT 1
SELECT SUM(tannin_level) FROM variety WHERE taste = 'bittersweet'
SELECT method FROM harvest GROUP BY method ORDER BY COUNT(*) DESC LIMIT 1
SELECT MAX(trees), AVG(hectares), county FROM orchard GROUP BY county
SELECT COUNT(*) FROM harvest WHERE pickers > 4
SELECT soil FROM orchard ORDER BY trees ASC LIMIT 1
SELECT T1.variety_name FROM variety AS T1 JOIN harvest AS T2 ON T1.variety_id = T2.variety_id JOIN orchard AS T3 ON T2.orchard_id = T3.orchard_id WHERE T3.county = 'Merrow' GROUP BY T1.variety_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT sweetness FROM cider GROUP BY sweetness HAVING COUNT(*) > 4;
SELECT soil, COUNT(orchard_id) AS total FROM orchard GROUP BY soil HAVING total > 4
SELECT T1.variety_name FROM variety AS T1 JOIN harvest AS T2 ON T1.variety_id = T2.variety_id ORDER BY T2.tonnes DESC LIMIT 1
SELECT orchard_name FROM orchard WHERE county = 'Merrow'
SELECT method, AVG(tonnes) FROM harvest GROUP BY method
SELECT MAX(alcohol), AVG(bottle_price), sweetness FROM cider GROUP BY sweetness
SELECT AVG(tannin_level) FROM variety
SELECT orchard_name, trees FROM orchard
SELECT COUNT(T2.cider_id) FROM variety AS T1 LEFT JOIN cider AS T2 ON T1.variety_id = T2.variety_id WHERE T1.variety_name = 'Late Orison' GROUP BY T1.variety_name
SELECT taste FROM variety GROUP BY taste HAVING COUNT(*) > 2
SELECT variety_name, sugar_level FROM variety
SELECT DISTINCT taste FROM variety
SELECT AVG(T1.bottle_price) FROM cider AS T1 JOIN variety AS T2 ON T1.variety_id = T2.variety_id WHERE T2.taste = 'sweet'
SELECT orchard_name FROM orchard WHERE county = 'Overdale' OR county = 'Stannery'
SELECT T1.variety_name FROM variety AS T1 JOIN cider AS T2 ON T1.variety_id = T2.variety_id WHERE T2.sweetness = 'sweet'
SELECT DISTINCT T1.variety_name FROM variety AS T1 JOIN cider AS T2 ON T1.variety_id = T2.variety_id WHERE T2.sweetness = 'sweet'
SELECT COUNT(*) FROM cider WHERE bottle_price > 3
SELECT variety_name, taste FROM variety ORDER BY tannin_level DESC
SELECT orchard_name FROM orchard WHERE county = 'Merrow' ORDER BY hectares
SELECT harvest_year FROM harvest GROUP BY harvest_year ORDER BY COUNT(*) DESC LIMIT 1
SELECT COUNT(*) FROM harvest WHERE harvest_year < 2015 OR harvest_year > 2021
SELECT T1.taste, AVG(T2.tonnes) FROM variety AS T1 JOIN harvest AS T2 ON T1.variety_id = T2.variety_id GROUP BY T1.taste
SELECT T1.orchard_name, T3.variety_name FROM orchard AS T1 JOIN harvest AS T2 ON T1.orchard_id = T2.orchard_id JOIN variety AS T3 ON T2.variety_id = T3.variety_id
SELECT COUNT(*) FROM orchard AS T1 JOIN harvest AS T2 ON T1.orchard_id = T2.orchard_id WHERE T1.soil = 'sand'
SELECT COUNT(*) FROM harvest AS T1 JOIN orchard AS T2 ON T1.orchard_id = T2.orchard_id WHERE T2.soil = 'sand'
SELECT T1.variety_name, SUM(T2.alcohol) FROM variety AS T1 JOIN cider AS T2 ON T1.variety_id = T2.variety_id GROUP BY T1.variety_id;
SELECT taste, MAX(tannin_level), ROUND(AVG(sugar_level), 1) FROM variety GROUP BY taste ORDER BY taste
SELECT T1.orchard_name, MAX(T2.tonnes) FROM orchard AS T1 JOIN harvest AS T2 ON T1.orchard_id = T2.orchard_id GROUP BY T1.orchard_id
SELECT COUNT(*) FROM harvest WHERE harvest_year < 2015 OR harvest_year > 2017
SELECT DISTINCT T1.variety_name FROM variety AS T1 LEFT JOIN harvest AS T2 ON T1.variety_id = T2.variety_id WHERE T1.taste = 'sweet' OR T2.method = 'shaken';
SELECT DISTINCT T1.orchard_name FROM orchard AS T1 JOIN harvest AS T2 ON T1.orchard_id = T2.orchard_id JOIN variety AS T3 ON T2.variety_id = T3.variety_id WHERE T3.variety_name = 'Sheep''s Nose Red'
SELECT AVG(bottle_price) FROM cider WHERE sweetness = 'medium';
SELECT AVG(bottle_price) FROM cider WHERE sweetness = 'medium'
SELECT T1.variety_name FROM variety AS T1 JOIN harvest AS T2 ON T1.variety_id = T2.variety_id ORDER BY T2.tonnes DESC LIMIT 1
SELECT COUNT(*) FROM orchard WHERE orchard_id NOT IN (SELECT orchard_id FROM harvest)
SELECT brand FROM cider WHERE bottle_price > (SELECT bottle_price FROM cider WHERE sweetness = 'sweet' ORDER BY bottle_price DESC LIMIT 1)
SELECT variety_name FROM variety WHERE sugar_level BETWEEN 10 AND 15
SELECT brand FROM cider ORDER BY bottle_price DESC LIMIT 1
SELECT brand FROM cider WHERE bottle_price = (SELECT MAX(bottle_price) FROM cider)
SELECT ROUND(AVG(hectares), 2), MIN(hectares), MAX(hectares) FROM orchard WHERE soil = 'sand' GROUP BY soil;
SELECT T1.taste FROM variety AS T1 JOIN cider AS T2 ON T1.variety_id = T2.variety_id WHERE T2.sweetness = 'medium' INTERSECT SELECT T1.taste FROM variety AS T1 JOIN cider AS T2 ON T1.variety_id = T2.variety_id WHERE T2.sweetness = 'dry'
SELECT county, COUNT(*) FROM orchard GROUP BY county ORDER BY COUNT(*) DESC LIMIT 2
SELECT DISTINCT T1.variety_name FROM variety AS T1 JOIN harvest AS T2 ON T1.variety_id = T2.variety_id WHERE T2.pickers < (SELECT AVG(pickers) FROM harvest)
SELECT AVG(tannin_level), MIN(tannin_level), MAX(tannin_level) FROM variety WHERE taste = 'sharp'
SELECT hectares FROM orchard WHERE orchard_name LIKE '%Wassail%'
SELECT orchard_name FROM orchard WHERE hectares BETWEEN 5 AND 35
SELECT orchard_name FROM orchard WHERE hectares BETWEEN 5 AND 35;
SELECT COUNT(DISTINCT soil) FROM orchard;
SELECT soil FROM orchard EXCEPT SELECT soil FROM orchard WHERE county = 'Merrow'
SELECT MAX(bottle_price), MIN(bottle_price) FROM cider
SELECT MAX(bottle_price), MIN(bottle_price) FROM cider
SELECT soil FROM orchard GROUP BY soil ORDER BY COUNT(*) DESC LIMIT 1
SELECT orchard_name, county, trees FROM orchard;
SELECT taste, COUNT(*) FROM variety GROUP BY taste
SELECT T2.brand FROM variety AS T1 JOIN cider AS T2 ON T1.variety_id = T2.variety_id WHERE T1.variety_name = 'Tanner''s Gold'
SELECT COUNT(*) FROM orchard WHERE trees > 2500
SELECT COUNT(*) FROM orchard WHERE trees > 2500
SELECT COUNT(*) FROM orchard
SELECT COUNT(*) FROM orchard;
SELECT harvest_year FROM harvest GROUP BY harvest_year ORDER BY COUNT(*) DESC LIMIT 1;
SELECT COUNT(*) FROM orchard
SELECT T1.variety_name, T2.bottle_price FROM variety AS T1 JOIN cider AS T2 ON T1.variety_id = T2.variety_id
