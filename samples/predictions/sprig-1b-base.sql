SELECT * FROM (SELECT "plant"."common_name", "packet"."seed_count" FROM "plant" INNER JOIN "packet" ON "plant"."plant_id" = "packet"."plant_id") AS result
SELECT "plant"."common_name", "packet"."seed_count" FROM "plant" INNER JOIN "packet" ON "plant"."plant_id" = "packet"."plant_id";
SELECT "member_name" FROM "member" WHERE "packets_borrowed" > (SELECT AVG("packets_borrowed") FROM "member");
SELECT `topic` FROM `workshop` WHERE `fee` > (SELECT AVG(`fee`) FROM `workshop`);
SELECT DISTINCT SUM(CAST("age" AS REAL)) / COUNT(*) FROM "member"
SELECT DISTINCT "topic" FROM "workshop" WHERE "level" = 'beginner' AND "topic" IS NOT NULL;
SELECT topic FROM workshop WHERE level = 'beginner';
SELECT member.member_name FROM member INNER JOIN packet ON member.member_id = packet.member_id INNER JOIN plant ON packet.plant_id = plant.plant_id WHERE plant.common_name = 'black radish' INTERSECT SELECT member.member_name FROM member INNER JOIN packet ON member.member_id = packet.member_id INNER JOIN plant ON packet.plant_id = plant.plant_id WHERE plant.common_name = 'sea kale';
SELECT DISTINCT `plant`.`common_name`, MAX(`packet`.`seed_count`) FROM `plant` INNER JOIN `packet` ON `plant`.`plant_id` = `packet`.`plant_id` GROUP BY `plant`.`common_name` ORDER BY MAX(`packet`.`seed_count`) DESC LIMIT 1;
SELECT "member_name" FROM "member" WHERE "member_id" = (SELECT "member_id" FROM "workshop" WHERE "fee" = (SELECT MAX("fee") FROM "workshop"));
SELECT `member`.`member_name`, `packet`.`seed_count` FROM `member`, `packet` WHERE `member`.`member_id` = `packet`.`member_id`;
SELECT `member`.`member_name`, `packet`.`seed_count` FROM `packet` JOIN `member` ON `packet`.`member_id` = `member`.`member_id`; -- this lists what the question asks for
SELECT AVG(CAST(packet.seed_count AS REAL)) FROM member JOIN packet ON member.member_id = packet.member_id WHERE member.village = 'Appley'
SELECT COUNT(*) FROM "member" WHERE "member_id" NOT IN (SELECT "member_id" FROM "workshop")
SELECT COUNT(*) FROM "packet"; -- this lists what the question asks for
SELECT COUNT(DISTINCT "packet_id") AS total FROM "packet";
SELECT DISTINCT `common_name` FROM `plant` WHERE `height_cm` = (SELECT MAX(`height_cm`) FROM `plant`) LIMIT 1;
SELECT plant.common_name FROM plant WHERE EXISTS (SELECT 1 FROM packet INNER JOIN member ON packet.member_id = member.member_id WHERE packet.plant_id = plant.plant_id AND member.packets_borrowed > 14);
SELECT DISTINCT `plant`.`common_name` FROM `plant` JOIN `packet` ON `plant`.`plant_id` = `packet`.`plant_id` JOIN `member` ON `packet`.`member_id` = `member`.`member_id` WHERE `member`.`member_name` = 'Ines Prado'
SELECT "plant"."common_name" FROM "plant", "packet", "member" WHERE "plant"."plant_id" = "packet"."plant_id" AND "packet"."member_id" = "member"."member_id" AND "member"."member_name" = 'Ines Prado';
SELECT "member_name" FROM "member" WHERE "member_id" IN (SELECT "member_id" FROM "workshop" WHERE "places" < (SELECT AVG(CAST("places" AS REAL)) FROM "workshop"));
SELECT `store`, SUM(CASE WHEN `seed_count` > 70 THEN 1 ELSE 0 END) FROM `packet` GROUP BY `store`;
SELECT COUNT(*) FROM "member" WHERE "member_id" NOT IN (SELECT "member_id" FROM "packet");
SELECT "plant"."common_name" FROM "plant" JOIN "packet" ON "plant"."plant_id" = "packet"."plant_id" GROUP BY "plant"."plant_id" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "plant"."common_name", COUNT("packet"."packet_id") AS total FROM "plant" JOIN "packet" ON "plant"."plant_id" = "packet"."plant_id" GROUP BY "plant"."common_name" ORDER BY total DESC LIMIT 1; -- this lists what the question asks for
SELECT `plant`.`common_name`, `member`.`member_name` FROM `packet` JOIN `plant` ON `packet`.`plant_id` = `plant`.`plant_id` JOIN `member` ON `packet`.`member_id` = `member`.`member_id`;
SELECT "plant"."common_name", "member"."member_name" FROM "plant" INNER JOIN "packet" ON "plant"."plant_id" = "packet"."plant_id" INNER JOIN "member" ON "packet"."member_id" = "member"."member_id";
SELECT store, SUM(CAST(seed_count AS REAL)) / COUNT(*) FROM packet GROUP BY store;
SELECT `common_name` FROM `plant` EXCEPT SELECT `plant`.`common_name` FROM `plant` JOIN `packet` ON `plant`.`plant_id` = `packet`.`plant_id` JOIN `member` ON `packet`.`member_id` = `member`.`member_id` WHERE `member`.`village` = 'Coldwell';

SELECT AVG("fee"), MIN("fee"), MAX("fee") FROM "workshop" WHERE "level" = 'beginner';
SELECT common_name FROM plant GROUP BY common_name ORDER BY MIN(germination_days) ASC;
SELECT `common_name`, `germination_days` FROM `plant` ORDER BY `germination_days` ASC
SELECT DISTINCT "life_cycle", MAX("height_cm"), AVG("germination_days") FROM "plant" GROUP BY "life_cycle";
SELECT member.member_name FROM member INNER JOIN workshop ON member.member_id = workshop.member_id WHERE workshop.level IN ('beginner', 'open') GROUP BY member.member_name HAVING COUNT(DISTINCT workshop.level) = 2
Sure! You can answer this by joining the two tables on their common column.
SELECT `level`, COUNT(`workshop_id`) AS total FROM `workshop` GROUP BY `level` ORDER BY total DESC;
SELECT DISTINCT level, COUNT(*) OVER (PARTITION BY level) FROM workshop
SELECT `life_cycle` FROM `plant` GROUP BY `life_cycle` ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "store", COUNT(*) FROM "packet" GROUP BY "store";
SELECT "member"."member_name" FROM "member" INNER JOIN "packet" ON "member"."member_id" = "packet"."member_id" INNER JOIN "plant" ON "packet"."plant_id" = "plant"."plant_id" WHERE "plant"."life_cycle" = 'biennial' GROUP BY "member"."member_id" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT DISTINCT "village" FROM "member" WHERE "age" > 82 AND "age" < 26
SELECT * FROM (SELECT "member"."member_name" FROM "member" INNER JOIN "packet" ON "member"."member_id" = "packet"."member_id" GROUP BY "member"."member_id" ORDER BY COUNT(*) DESC LIMIT 1) AS result;
SELECT DISTINCT store FROM packet WHERE seed_count > 290 AND store IN (SELECT store FROM packet WHERE seed_count < 100);
SELECT DISTINCT "plant"."common_name" FROM "plant" INNER JOIN "packet" ON "plant"."plant_id" = "packet"."plant_id" WHERE "packet"."seed_count" > 80; -- this lists what the question asks for
SELECT `plant`.`common_name` FROM `plant` INNER JOIN `packet` ON `plant`.`plant_id` = `packet`.`plant_id` INNER JOIN `member` ON `packet`.`member_id` = `member`.`member_id` WHERE `member`.`packets_borrowed` > 12;
SELECT "common_name" FROM "plant" WHERE "germination_days" > (SELECT MAX("germination_days") FROM "plant" WHERE "family" = 'daisy');
SELECT `plant`.`common_name` FROM `plant` LEFT JOIN `packet` ON `plant`.`plant_id` = `packet`.`plant_id` AND `packet`.`store` = 'drawer' WHERE `packet`.`packet_id` IS NULL
SELECT `common_name` FROM `plant` WHERE `plant_id` NOT IN (SELECT `plant_id` FROM `packet` WHERE `store` = 'drawer');
SELECT `topic` FROM `workshop` WHERE `places` > (SELECT MAX(`places`) FROM `workshop` WHERE `level` = 'beginner');
SELECT * FROM (SELECT "member"."village", AVG("workshop"."places") FROM "member" INNER JOIN "workshop" ON "member"."member_id" = "workshop"."member_id" GROUP BY "member"."village") AS result;
SELECT COUNT(*), "village" FROM "member" GROUP BY "village"
SELECT plant.common_name FROM plant INNER JOIN packet ON plant.plant_id = packet.plant_id GROUP BY plant.common_name HAVING MAX(packet.seed_count) > 100;
SELECT family FROM plant WHERE life_cycle <> 'biennial';
SELECT `germination_days` FROM `plant` WHERE `common_name` LIKE '%salsify%';
SELECT `life_cycle` FROM (SELECT `life_cycle`, AVG(CAST(`height_cm` AS REAL)) AS average FROM `plant` GROUP BY `life_cycle`) AS averages WHERE average >= 100;
SELECT seed_count FROM packet WHERE store = 'cellar' AND member_id IN (SELECT member_id FROM member WHERE village = 'Coldwell');
SELECT packets_borrowed FROM member WHERE member_name = 'Bruno Sacher'; -- this lists what the question asks for
SELECT COUNT(*) FROM workshop WHERE places > 22
SELECT COUNT(*) FROM `workshop` WHERE `places` > 22
SELECT topic FROM workshop ORDER BY places DESC LIMIT 2;
error
SELECT * FROM (SELECT AVG(CAST(`fee` AS REAL)), MIN(`fee`), MAX(`fee`) FROM `workshop` WHERE `level` = 'open') AS result;
SELECT "store" FROM "packet" GROUP BY "store" HAVING COUNT(*) = (SELECT MAX(total) FROM (SELECT COUNT(*) AS total FROM "packet" GROUP BY "store") AS totals)
SELECT "village" FROM "member" GROUP BY "village" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT COUNT(*) FROM member INNER JOIN workshop ON member.member_id = workshop.member_id WHERE member.member_name = 'Orla Fenn'
SELECT `common_name` FROM `plant` WHERE `plant_id` = (SELECT `plant_id` FROM `packet` GROUP BY `plant_id` ORDER BY COUNT(*) DESC LIMIT 1);
SELECT member_name FROM member WHERE member_id IN (SELECT member_id FROM member WHERE village = 'Thorne') AND packets_borrowed > 8;
SELECT DISTINCT `museum`.`museum_name` FROM `museum` INNER JOIN `loan` ON `museum`.`museum_id` = `loan`.`museum_id` INNER JOIN `artefact` ON `loan`.`artefact_id` = `artefact`.`artefact_id` WHERE `artefact`.`title` = 'sail maker''s bench';
SELECT "museum"."museum_name" FROM "museum", "loan", "artefact" WHERE "museum"."museum_id" = "loan"."museum_id" AND "loan"."artefact_id" = "artefact"."artefact_id" AND "artefact"."title" = 'velvet map';
SELECT museum_name FROM museum EXCEPT SELECT museum.museum_name FROM museum INNER JOIN loan ON museum.museum_id = loan.museum_id WHERE loan.status =
SELECT "status" FROM "loan" ORDER BY "days" LIMIT 1;
SELECT DISTINCT status FROM loan WHERE days = (SELECT MIN(days) FROM loan)
SELECT `museum`.`museum_name` FROM `museum` LEFT JOIN `loan` ON `museum`.`museum_id` = `loan`.`museum_id` WHERE `loan`.`museum_id` IS NULL;
SELECT museum.museum_name FROM museum INNER JOIN loan ON museum.museum_id = loan.museum_id WHERE loan.status = 'on display' GROUP BY museum.museum_id ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "title" FROM "artefact" WHERE "artefact_id" NOT IN (SELECT "artefact_id" FROM "loan" WHERE "status" = 'in transit')
SELECT "artefact"."title" FROM "artefact" WHERE NOT EXISTS (SELECT * FROM "loan" WHERE "loan"."artefact_id" = "artefact"."artefact_id" AND "loan"."status" = 'in transit')
SELECT DISTINCT "museum"."museum_name", COUNT(DISTINCT "loan"."status") FROM "museum" INNER JOIN "loan" ON "museum"."museum_id" = "loan"."museum_id" GROUP BY "museum"."museum_name"
SELECT "museum"."museum_name" FROM "museum" WHERE NOT EXISTS (SELECT * FROM "curator" WHERE "curator"."museum_id" = "museum"."museum_id" AND "curator"."specialism" = 'maps'); -- this lists what the question asks for
SELECT title FROM artefact WHERE artefact_id IN (SELECT artefact_id FROM loan GROUP BY artefact_id HAVING COUNT(*) >= 4);
SELECT `museum`.`museum_name` FROM `museum` JOIN `curator` ON `museum`.`museum_id` = `curator`.`museum_id` WHERE `curator`.`specialism` = 'maps' INTERSECT SELECT `museum`.`museum_name` FROM `museum` JOIN `curator` ON `museum`.`museum_id` = `curator`.`museum_id` WHERE `curator`.`specialism` = 'ceramics'
SELECT "museum"."museum_name" FROM "museum" INNER JOIN "loan" ON "museum"."museum_id" = "loan"."museum_id" INNER JOIN "artefact" ON "loan"."artefact_id" = "artefact"."artefact_id" WHERE "artefact"."material" = 'glass' GROUP BY "museum"."museum_id" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "museum_name" FROM "museum" ORDER BY "staff_count" DESC LIMIT 1; -- this lists what the question asks for
SELECT DISTINCT "museum_name" FROM "museum" WHERE "annual_visitors" > (SELECT MAX("annual_visitors") FROM "museum" WHERE "museum_type" = 'folk');
SELECT DISTINCT "artefact"."material", ROUND(AVG("museum"."annual_visitors"), 2) AS average FROM "loan" LEFT JOIN "artefact" ON "loan"."artefact_id" = "artefact"."artefact_id" LEFT JOIN "museum" ON "loan"."museum_id" = "museum"."museum_id" GROUP BY "artefact"."material"
SELECT `museum_name`, `city`, `annual_visitors` FROM `museum`;
SELECT DISTINCT MAX(days) - MIN(days) FROM loan
SELECT `material`, MIN(`insured_value`) FROM `artefact` GROUP BY `material` ORDER BY MIN(`insured_value`) ASC LIMIT 1; -- this lists what the question asks for
SELECT * FROM (SELECT COALESCE(SUM("exhibitions_led"), 0) FROM "curator" WHERE "specialism" = 'textiles') AS result;
SELECT curator_name, specialism FROM curator ORDER BY age DESC
SELECT `curator_name`, `specialism`, `age` FROM `curator` ORDER BY `age` DESC NULLS LAST
SELECT DISTINCT "museum"."museum_name", "artefact"."title" FROM "museum" JOIN "loan" ON "museum"."museum_id" = "loan"."museum_id" JOIN "artefact" ON "loan"."artefact_id" = "artefact"."artefact_id";
SELECT "museum"."museum_name", "artefact"."title" FROM "museum" JOIN "loan" ON "museum"."museum_id" = "loan"."museum_id" JOIN "artefact" ON "loan"."artefact_id" = "artefact"."artefact_id";
SELECT * FROM (SELECT "museum_name" FROM "museum" WHERE "city" = 'Trevanne' AND "staff_count" > 10) AS result;
SELECT "museum_name" FROM "museum" WHERE "museum_type" = 'folk' UNION SELECT "museum"."museum_name" FROM "museum" JOIN "loan" ON "museum"."museum_id" = "loan"."museum_id" WHERE "loan"."status" = 'in transit'
SELECT COUNT(*) FROM `curator`; -- this lists what the question asks for
SELECT AVG(CAST(`loan`.`days` AS REAL)) FROM `museum` INNER JOIN `loan` ON `museum`.`museum_id` = `loan`.`museum_id` WHERE `museum`.`city` = 'Lissen'
SELECT city FROM museum GROUP BY city HAVING COUNT(*) > 2;
SELECT "title" FROM "artefact" WHERE "artefact_id" NOT IN (SELECT "artefact_id" FROM "loan")
SELECT "artefact"."title" FROM "artefact" WHERE NOT EXISTS (SELECT 1 FROM "loan" WHERE "loan"."artefact_id" = "artefact"."artefact_id");
SELECT DISTINCT "curator"."curator_name" FROM "museum" LEFT JOIN "curator" ON "museum"."museum_id" = "curator"."museum_id" WHERE "museum"."museum_name" = 'Gallery Verst';
SELECT curator.curator_name FROM museum INNER JOIN curator ON museum.museum_id = curator.museum_id WHERE museum.museum_name = 'Gallery Verst'
SELECT COUNT(*) FROM "museum" WHERE "opened" < 1870 OR "opened" > 2000;
SELECT "title" FROM "artefact" WHERE "material" = 'wood' ORDER BY "insured_value" ASC;
SELECT curator_name FROM (SELECT * FROM curator WHERE specialism = 'textiles') AS sub ORDER BY exhibitions_led ASC;
SELECT `artefact`.`material`, AVG(`loan`.`days`) FROM `artefact` INNER JOIN `loan` ON `artefact`.`artefact_id` = `loan`.`artefact_id` GROUP BY `artefact`.`material`;
SELECT "museum"."museum_name" FROM "curator" INNER JOIN "museum" ON "curator"."museum_id" = "museum"."museum_id" GROUP BY "curator"."museum_id" ORDER BY COUNT(*) DESC LIMIT 1
SELECT "status", ROUND(AVG(CAST("days" AS REAL)), 2) AS average FROM "loan" GROUP BY "status" ORDER BY "status" ASC;
SELECT "city", AVG("annual_visitors") FROM "museum" GROUP BY "city"
SELECT "material" FROM "artefact" GROUP BY "material" HAVING COUNT(*) > 4;
SELECT DISTINCT MAX("age"), MIN("age") FROM "curator";
SELECT DISTINCT museum_name FROM museum WHERE museum_type = 'science' AND museum_name IS NOT NULL;
SELECT DISTINCT `specialism`, COUNT(*) OVER (PARTITION BY `specialism`) FROM `curator`;
SELECT "material", COUNT(*) FROM "artefact" GROUP BY "material"
SELECT "loan"."days" FROM "museum" INNER JOIN "loan" ON "museum"."museum_id" = "loan"."museum_id" WHERE "loan"."status" = 'in transit' AND "museum"."city" = 'Halvard';
SELECT "museum_name" FROM "museum" WHERE "museum_id" IN (SELECT "museum_id" FROM "loan" WHERE "status" = 'in transit')
SELECT DISTINCT "museum"."museum_name" FROM "museum" INNER JOIN "curator" ON "museum"."museum_id" = "curator"."museum_id" WHERE "curator"."specialism" = 'textiles'
SELECT "title", MAX("insured_value") FROM "artefact";
SELECT "age" FROM "curator" WHERE "curator_name" LIKE '%Adeyemi%';
SELECT "artefact"."title" FROM "artefact" JOIN "loan" ON "artefact"."artefact_id" = "loan"."artefact_id" JOIN "museum" ON "loan"."museum_id" = "museum"."museum_id" WHERE "museum"."museum_type" = 'science' GROUP BY "artefact"."artefact_id" ORDER BY COUNT(*) DESC LIMIT 1
SELECT "museum"."museum_name", (SELECT COUNT(*) FROM "loan" WHERE "loan"."museum_id" = "museum"."museum_id") AS total FROM "museum";
SELECT "museum"."museum_name", COUNT(*) FROM "museum" INNER JOIN "loan" ON "museum"."museum_id" = "loan"."museum_id" GROUP BY "museum"."museum_id"
SELECT DISTINCT "material" FROM "artefact" GROUP BY "material";
SELECT COUNT(DISTINCT loan_id) FROM loan WHERE days > 200;
SELECT * FROM (SELECT `museum`.`museum_name` FROM `museum` INNER JOIN `loan` ON `museum`.`museum_id` = `loan`.`museum_id` GROUP BY `museum`.`museum_id`, `museum`.`museum_name` HAVING COUNT(`loan`.`loan_id`) >= 3) AS result;
SELECT "status", COUNT("loan_id") AS total FROM "loan" GROUP BY "status" ORDER BY total DESC LIMIT 2; -- this lists what the question asks for
SELECT `museum`.`museum_name` FROM `museum` INNER JOIN `loan` ON `museum`.`museum_id` = `loan`.`museum_id` WHERE `loan`.`status` = 'agreed';
SELECT COUNT(DISTINCT status) FROM loan
SELECT COUNT(*) FROM (SELECT DISTINCT `status` FROM `loan`) AS kinds;
SELECT `curator`.`curator_name`, `museum`.`museum_name`, `curator`.`exhibitions_led` FROM `curator` LEFT JOIN `museum` ON `curator`.`museum_id` = `museum`.`museum_id` ORDER BY `curator`.`exhibitions_led` ASC
SELECT "curator"."curator_name" FROM "curator" INNER JOIN "museum" ON "curator"."museum_id" = "museum"."museum_id" WHERE "museum"."museum_name" = 'Tillage Hall';
SELECT "curator"."curator_name" FROM "museum" JOIN "curator" ON "museum"."museum_id" = "curator"."museum_id" WHERE "museum"."museum_name" = 'Tillage Hall';
SELECT * FROM (SELECT "opened" FROM "museum" GROUP BY "opened" ORDER BY COUNT(*) DESC LIMIT 1) AS result;
SELECT COUNT(*) FROM artefact WHERE insured_value > 33900
SELECT COUNT(*) FROM `artefact` WHERE `made_year` < 1620 OR `made_year` > 1810; -- this lists what the question asks for
SELECT COUNT("artefact_id") FROM "artefact";
SELECT DISTINCT "beekeeper_name" FROM "beekeeper" WHERE "age" BETWEEN 25 AND 72;
SELECT "beekeeper_name" FROM "beekeeper" WHERE "age" >= 25 AND "age" <= 72;
SELECT "apiary_name" FROM "apiary" WHERE "altitude" >= 200 AND "altitude" <= 530;
SELECT "apiary_name" FROM "apiary" WHERE "altitude" >= 200 AND "altitude" <= 530
SELECT `hive`.`honey_kg` FROM `beekeeper` INNER JOIN `hive` ON `beekeeper`.`beekeeper_id` = `hive`.`beekeeper_id` WHERE `hive`.`hive_type` = 'national' AND `beekeeper`.`certificate` = 'none';
SELECT DISTINCT `beekeeper_name` FROM `beekeeper` WHERE `certificate` = 'none';
SELECT `apiary_name` FROM `apiary` WHERE `apiary_id` NOT IN (SELECT `apiary_id` FROM `hive`); -- this lists what the question asks for
SELECT "beekeeper"."beekeeper_name" FROM "beekeeper" WHERE NOT EXISTS (SELECT 1 FROM "hive" WHERE "hive"."beekeeper_id" = "beekeeper"."beekeeper_id")
SELECT apiary_name FROM apiary ORDER BY hive_places;
SELECT DISTINCT AVG(CASE WHEN certificate = 'master' THEN stings_last_year END) FROM beekeeper;
SELECT `stings_last_year` FROM `beekeeper` WHERE LOWER(`beekeeper_name`) = LOWER('Signe Dahl');
SELECT COUNT(*) FROM "beekeeper";
SELECT "apiary_name" FROM "apiary", (SELECT AVG("altitude") AS average FROM "apiary") AS summary WHERE "altitude" > summary.average;
SELECT "apiary"."apiary_name" FROM "apiary" WHERE EXISTS (SELECT 1 FROM "hive" WHERE "hive"."apiary_id" = "apiary"."apiary_id" AND "hive"."hive_type" = 'national');
SELECT `apiary`.`apiary_name` FROM `apiary` INNER JOIN `hive` ON `apiary`.`apiary_id` = `hive`.`apiary_id` WHERE `hive`.`hive_type` = 'national';
SELECT `apiary_name`, `altitude` FROM `apiary`;
SELECT "beekeeper_name", "stings_last_year" FROM "beekeeper";
SELECT COUNT(*), "beekeeper"."beekeeper_name" FROM "hive" JOIN "beekeeper" ON "hive"."beekeeper_id" = "beekeeper"."beekeeper_id" GROUP BY "hive"."beekeeper_id";
SELECT COUNT(*), `apiary`.`apiary_name` FROM `hive` INNER JOIN `apiary` ON `hive`.`apiary_id` = `apiary`.`apiary_id` GROUP BY `hive`.`apiary_id`
SELECT "beekeeper_name", MAX("age") FROM "beekeeper"
SELECT "apiary_name" FROM "apiary" WHERE "apiary_id" NOT IN (SELECT "apiary_id" FROM "hive");
SELECT COUNT(*) FROM beekeeper WHERE joined < 2002 OR joined > 2009
SELECT apiary.apiary_name FROM hive JOIN apiary ON hive.apiary_id = apiary.apiary_id GROUP BY hive.apiary_id ORDER BY COUNT(*) DESC LIMIT 1
SELECT * FROM (SELECT apiary.apiary_name FROM apiary JOIN hive ON apiary.apiary_id = hive.apiary_id GROUP BY apiary.apiary_id ORDER BY COUNT(*) DESC LIMIT 1) AS result;
SELECT * FROM (SELECT COUNT(*), "hive_type" FROM "hive" GROUP BY "hive_type") AS result;
SELECT DISTINCT "certificate", MIN("stings_last_year") FROM "beekeeper" GROUP BY "certificate" ORDER BY MIN("stings_last_year") ASC LIMIT 1; -- this lists what the question asks for
SELECT "hive_type" FROM "hive" ORDER BY "honey_kg" ASC LIMIT 1
SELECT DISTINCT "beekeeper_name" FROM "beekeeper" WHERE "certificate" = 'none' AND "beekeeper_name" IS NOT NULL;
SELECT beekeeper_name FROM beekeeper EXCEPT SELECT beekeeper.beekeeper_name FROM beekeeper JOIN hive ON beekeeper.beekeeper_id = hive.beekeeper_id JOIN apiary ON hive.apiary_id = apiary.apiary_id WHERE apiary.landscape = 'woodland';
SELECT `certificate` FROM `beekeeper` GROUP BY `certificate` ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "certificate" FROM "beekeeper" GROUP BY "certificate" ORDER BY COUNT(*) DESC LIMIT 1
SELECT "beekeeper_name" FROM "beekeeper" WHERE "age" BETWEEN 27 AND 73;
SELECT `beekeeper_name` FROM `beekeeper` WHERE `age` BETWEEN 27 AND 73
SELECT `apiary`.`apiary_name` FROM `apiary` JOIN `hive` ON `apiary`.`apiary_id` = `hive`.`apiary_id` ORDER BY `hive`.`honey_kg` DESC LIMIT 1;
SELECT "apiary"."apiary_name" FROM "apiary" INNER JOIN "hive" ON "apiary"."apiary_id" = "hive"."apiary_id" ORDER BY "hive"."honey_kg" DESC LIMIT 1;
SELECT hive_type, AVG(frames) FROM hive GROUP BY hive_type;
SELECT `beekeeper`.`beekeeper_name` FROM `beekeeper` INNER JOIN `hive` ON `beekeeper`.`beekeeper_id` = `hive`.`beekeeper_id` INNER JOIN `apiary` ON `hive`.`apiary_id` = `apiary`.`apiary_id` WHERE `apiary`.`apiary_name` = 'Linden Row' INTERSECT SELECT `beekeeper`.`beekeeper_name` FROM `beekeeper` INNER JOIN `hive` ON `beekeeper`.`beekeeper_id` = `hive`.`beekeeper_id` INNER JOIN `apiary` ON `hive`.`apiary_id` = `apiary`.`apiary_id` WHERE `apiary`.`apiary_name` = 'Heath End';
SELECT "apiary_name", "landscape", "hive_places" FROM "apiary" ORDER BY "hive_places" DESC NULLS LAST; -- this lists what the question asks for
SELECT apiary_name, landscape FROM apiary ORDER BY hive_places DESC;
SELECT DISTINCT COUNT("hive_id") FROM "hive" WHERE "hive_type" = 'national'
SELECT COUNT(*) FROM "apiary" WHERE "hive_places" > 9; -- this lists what the question asks for
SELECT * FROM (SELECT DISTINCT COUNT(*) FROM hive WHERE built < 2008 OR built > 2020) AS result;
SELECT AVG(CAST("frames" AS REAL)) FROM "hive";
SELECT `finding` FROM `inspection` ORDER BY `minutes` ASC LIMIT 1;
SELECT "finding" FROM "inspection" WHERE "minutes" = (SELECT MIN("minutes") FROM "inspection"); -- this lists what the question asks for
SELECT COUNT(*) FROM "beekeeper" WHERE "beekeeper_id" NOT IN (SELECT "beekeeper_id" FROM "hive");
SELECT DISTINCT apiary.apiary_name FROM apiary, hive, beekeeper WHERE apiary.apiary_id = hive.apiary_id AND hive.beekeeper_id = beekeeper.beekeeper_id AND beekeeper.beekeeper_name = 'Vera Novak';
SELECT "apiary"."apiary_name" FROM "apiary" INNER JOIN "hive" ON "apiary"."apiary_id" = "hive"."apiary_id" WHERE "hive"."hive_type" = 'national' AND "hive"."hive_type" = 'skep'
SELECT apiary_name FROM apiary WHERE apiary_id IN (SELECT apiary_id FROM hive WHERE hive_type = 'top bar')
SELECT COUNT(DISTINCT "hive_type") FROM "hive";
SELECT `apiary_name` FROM `apiary` ORDER BY `altitude` DESC LIMIT 4;
SELECT `beekeeper_name` FROM `beekeeper` WHERE `certificate` = 'master'
SELECT "beekeeper_name" FROM "beekeeper" WHERE "certificate" = 'master';
SELECT "apiary"."landscape" FROM "apiary" INNER JOIN "hive" ON "apiary"."apiary_id" = "hive"."apiary_id" WHERE "hive"."hive_type" IN ('skep', 'top bar') GROUP BY "apiary"."landscape" HAVING COUNT(DISTINCT "hive"."hive_type") = 2;
SELECT DISTINCT COUNT(*) FROM `hive` WHERE `built` NOT BETWEEN 2013 AND 2020
SELECT "beekeeper"."beekeeper_name", "apiary"."apiary_name" FROM "beekeeper", "hive", "apiary" WHERE "beekeeper"."beekeeper_id" = "hive"."beekeeper_id" AND "hive"."apiary_id" = "apiary"."apiary_id";
SELECT "beekeeper_name", "certificate" FROM "beekeeper" ORDER BY "stings_last_year" DESC
SELECT "apiary_name", "landscape", "hive_places" FROM
SELECT "built" FROM "hive" WHERE "hive_type" = 'national' GROUP BY "built" HAVING COUNT(*) > 2;
SELECT `joined` FROM `beekeeper` GROUP BY `joined` ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "apiary"."apiary_name" FROM "apiary", "hive", "beekeeper" WHERE "apiary"."apiary_id" = "hive"."apiary_id" AND "hive"."beekeeper_id" = "beekeeper"."beekeeper_id" AND "beekeeper"."beekeeper_name" = 'Vera Novak'
SELECT * FROM (SELECT "hive"."hive_type", ROUND(AVG("inspection"."brood_frames"), 2) AS average FROM "hive" LEFT JOIN "inspection" ON "hive"."hive_id" = "inspection"."hive_id" GROUP BY "hive"."hive_type" ORDER BY average DESC) AS result
SELECT "apiary"."apiary_name" FROM "apiary" INNER JOIN "hive" ON "apiary"."apiary_id" = "hive"."apiary_id" GROUP BY "apiary"."apiary_id" HAVING COUNT(*) >= 4
SELECT "hive_type" FROM "hive" GROUP BY "hive_type" ORDER BY COUNT(*) DESC LIMIT 1
SELECT `hive_type` FROM `hive` GROUP BY `hive_type` ORDER BY COUNT(*) DESC LIMIT 1
SELECT "beekeeper"."beekeeper_name", COUNT("hive"."hive_id") AS total FROM "beekeeper" INNER JOIN "hive" ON "beekeeper"."beekeeper_id" = "hive"."beekeeper_id" GROUP BY "beekeeper"."beekeeper_name" ORDER BY total DESC LIMIT 1;
SELECT `beekeeper`.`beekeeper_name` FROM `hive` INNER JOIN `beekeeper` ON `hive`.`beekeeper_id` = `beekeeper`.`beekeeper_id` GROUP BY `hive`.`beekeeper_id` HAVING COUNT(*) >= 2;
SELECT hive_type, COUNT(*) FROM hive GROUP BY hive_type ORDER BY COUNT(*) DESC LIMIT 3;
SELECT `warden_name` FROM `warden` ORDER BY `nationality`, `age` DESC
SELECT AVG(CAST(nights AS REAL)) FROM stay WHERE board = 'half'
SELECT DISTINCT AVG(peaks_climbed) FROM hiker WHERE club = 'Boot and Pole';
SELECT `club` FROM `hiker` GROUP BY `club` ORDER BY COUNT(*) DESC LIMIT 1
SELECT "hut_name" FROM "hut" WHERE "beds" > (SELECT AVG(CAST("beds" AS REAL)) FROM "hut");
SELECT DISTINCT "hut_name" FROM "hut" GROUP BY "hut_name" HAVING "beds" > AVG("beds");
SELECT "club", SUM(CASE WHEN "peaks_climbed" > 38 THEN 1 ELSE 0 END) FROM "hiker" GROUP BY "club"
SELECT "hut"."hut_name" FROM "hut" WHERE EXISTS (SELECT 1 FROM "stay" WHERE "stay"."hut_id" = "hut"."hut_id" AND "stay"."board" = 'none'); -- this lists what the question asks for
SELECT "hut"."hut_name" FROM "hut" WHERE EXISTS (SELECT 1 FROM "stay" WHERE "stay"."hut_id" = "hut"."hut_id" AND "stay"."board" = 'none');
SELECT "board", COUNT("stay_id") AS total FROM "stay" GROUP BY "board" ORDER BY total DESC LIMIT 5;
SELECT AVG(CAST("age" AS REAL)), MIN("age"), MAX("age") FROM "warden" WHERE "nationality" = 'Welsh';
SELECT "valley", COUNT(*) FROM "hut" GROUP BY "valley" ORDER BY COUNT(*) DESC LIMIT 5
SELECT DISTINCT `built_year` FROM `hut` WHERE `valley` = 'Larch Valley' GROUP BY `built_year` HAVING COUNT(*) > 5;
SELECT COUNT(warden.warden_id) FROM warden INNER JOIN hut ON warden.hut_id = hut.hut_id WHERE hut.valley = 'Sennental';
SELECT `hiker`.`hiker_name` FROM `stay` JOIN `hiker` ON `stay`.`hiker_id` = `hiker`.`hiker_id` GROUP BY `stay`.`hiker_id` HAVING COUNT(*) >= 4;
SELECT `hut`.`hut_name` FROM `hut` INNER JOIN `warden` ON `hut`.`hut_id` = `warden`.`hut_id` WHERE `warden`.`nationality` = 'Slovene';
SELECT "club", COUNT("hiker_id") AS total FROM "hiker" GROUP BY "club" ORDER BY total DESC LIMIT 2;
SELECT `hut`.`hut_name`, COUNT(*) FROM `hut` INNER JOIN `warden` ON `hut`.`hut_id` = `warden`.`hut_id` GROUP BY `hut`.`hut_name`;
SELECT hut.hut_name, COUNT(*) FROM hut JOIN warden ON hut.hut_id = warden.hut_id GROUP BY hut.hut_id
SELECT COUNT(*) FROM "hut" INNER JOIN "stay" ON "hut"."hut_id" = "stay"."hut_id" WHERE "hut"."hut_name" = 'Upper Sennen';
SELECT COUNT(*) FROM `warden` WHERE `hut_id` = (SELECT `hut_id` FROM `hut` WHERE `hut_name` = 'Snowfinch');
SELECT DISTINCT MAX(bill), MIN(bill) FROM stay;
SELECT SUM("altitude") FROM "hut" GROUP BY "valley" HAVING "valley" = 'Larch Valley';
SELECT SUM(CAST("age" AS REAL)) / COUNT(*) FROM "hiker";
SELECT COUNT(*) FROM hut INNER JOIN stay ON hut.hut_id = stay.hut_id INNER JOIN hiker ON stay.hiker_id = hiker.hiker_id WHERE hut.valley = 'Kaldbach' AND hiker.club = 'Boot and Pole';
SELECT `hiker`.`hiker_name`, MAX(`stay`.`nights`) FROM `hiker` INNER JOIN `stay` ON `hiker`.`hiker_id` = `stay`.`hiker_id` GROUP BY `hiker`.`hiker_id`;
SELECT `hiker`.`hiker_name` FROM `hiker` INNER JOIN `stay` ON `hiker`.`hiker_id` = `stay`.`hiker_id` INNER JOIN `hut` ON `stay`.`hut_id` = `hut`.`hut_id` WHERE `hut`.`valley` = 'Sennental' GROUP BY `hiker`.`hiker_id` ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "nationality", MAX("age"), ROUND(AVG(CAST("seasons_served" AS REAL)), 1) FROM "warden" GROUP BY "nationality" ORDER BY "nationality";
SELECT * FROM (SELECT "hut"."hut_name" FROM "hut" JOIN "stay" ON "hut"."hut_id" = "stay"."hut_id" GROUP BY "hut"."hut_id" ORDER BY COUNT(*) DESC LIMIT 1) AS result;
SELECT `hut`.`hut_name`, COUNT(`stay`.`stay_id`) AS total FROM `hut` JOIN `stay` ON `hut`.`hut_id` = `stay`.`hut_id` GROUP BY `hut`.`hut_name` ORDER BY total DESC LIMIT 1;
SELECT "warden_name" FROM "warden" WHERE "age" > (SELECT "age" FROM "warden" WHERE "nationality" = 'Swiss' ORDER BY "age" DESC LIMIT 1);
SELECT COUNT(*) FROM "warden"
SELECT COUNT(*) FROM "warden"
SELECT COUNT(*) FROM `stay` WHERE `board` = 'half';
SELECT "hut"."valley" FROM "hut" JOIN "warden" ON "hut"."hut_id" = "warden"."hut_id" WHERE "warden"."nationality" = 'Swiss' INTERSECT SELECT "hut"."valley" FROM "hut" JOIN "warden" ON "hut"."hut_id" = "warden"."hut_id" WHERE "warden"."nationality" = 'Basque';
SELECT "hiker_name" FROM "hiker" WHERE "club" = 'Alpine Circle'
SELECT COUNT(*) FROM "hiker" WHERE "club" = 'Boot and Pole'
SELECT COUNT(*) FROM "hiker" WHERE "club" = 'Boot and Pole';
SELECT COUNT(*) FROM hut INNER JOIN stay ON hut.hut_id = stay.hut_id INNER JOIN hiker ON stay.hiker_id = hiker.hiker_id WHERE hut.valley = 'Val Fosca' AND hiker.club = 'Boot and Pole'
SELECT `seasons_served` FROM `warden` WHERE LOWER(`warden_name`) = LOWER('Iker Zubia');
SELECT "seasons_served" FROM "warden" WHERE "warden_name" = 'Iker Zubia'
SELECT DISTINCT warden_name, age FROM warden; -- this lists what the question asks for
SELECT hut.hut_name, stay.nights FROM hut INNER JOIN stay ON hut.hut_id = stay.hut_id
SELECT "hut"."hut_name", "stay"."nights" FROM "hut" LEFT JOIN "stay" ON "hut"."hut_id" = "stay"."hut_id";
SELECT warden_name FROM (SELECT * FROM warden WHERE nationality = 'Swiss') AS sub ORDER BY seasons_served ASC;
SELECT "hiker"."hiker_name" FROM "hiker" WHERE EXISTS (SELECT 1 FROM "stay" JOIN "hut" ON "stay"."hut_id" = "hut"."hut_id" WHERE "stay"."hiker_id" = "hiker"."hiker_id" AND "hut"."altitude" > 1200)
SELECT COUNT(`warden_id`) FROM `warden` WHERE `seasons_served` >
SELECT DISTINCT hut.hut_name, SUM(CAST(warden.age AS REAL)) FROM hut INNER JOIN warden ON hut.hut_id = warden.hut_id GROUP BY hut.hut_id
SELECT hiker_name FROM hiker ORDER BY peaks_climbed ASC;
SELECT `hiker_name` FROM `hiker` ORDER BY `peaks_climbed` ASC
SELECT hut_name FROM hut WHERE hut_id IN (SELECT hut_id FROM hut WHERE valley = 'Sennental') AND altitude > 1500;
SELECT "warden_name" FROM "warden" WHERE "nationality" = 'Swiss' AND "age" > 40; -- this lists what the question asks for
SELECT "valley" FROM "hut" WHERE "altitude" = (SELECT MIN("altitude") FROM "hut")
SELECT warden_name FROM warden WHERE age > (SELECT MAX(age) FROM warden WHERE nationality = 'Welsh');
SELECT hiker.hiker_name FROM hiker JOIN stay ON hiker.hiker_id = stay.hiker_id GROUP BY hiker.hiker_name HAVING MAX(stay.nights) > 5
SELECT `hut_name` FROM `hut` WHERE `altitude` >= 2300 AND `altitude` <= 2600;
SELECT "hut"."hut_name" FROM "hut" INNER JOIN "warden" ON "hut"."hut_id" = "warden"."hut_id" GROUP BY "hut"."hut_id" HAVING COUNT(*) >= 3
SELECT "hut"."hut_name" FROM "hut" INNER JOIN "warden" ON "hut"."hut_id" = "warden"."hut_id" GROUP BY "hut"."hut_id", "hut"."hut_name" HAVING COUNT("warden"."warden_id") >= 3;
SELECT hut_name, MAX(altitude) FROM hut;
SELECT "hut"."hut_name", COUNT("stay"."stay_id") AS total FROM "hut" INNER JOIN "stay" ON "hut"."hut_id" = "stay"."hut_id" INNER JOIN "hiker" ON "stay"."hiker_id" = "hiker"."hiker_id" AND "hiker"."club" = 'no club' GROUP BY "hut"."hut_name" ORDER BY total DESC LIMIT 1;
SELECT COUNT(*) FROM (SELECT `hut_id` FROM `hut` EXCEPT SELECT `hut_id` FROM `stay`) AS rest
SELECT "hiker_name" FROM (SELECT "hiker_name", RANK() OVER (ORDER BY "age" DESC) AS position FROM "hiker") AS ranked WHERE position <= 4
SELECT "warden"."warden_name" FROM "hut", "warden" WHERE "hut"."hut_id" = "warden"."hut_id" AND "hut"."hut_name" = 'Raven Saddle';
SELECT "valley" FROM "hut" GROUP BY "valley" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT "valley", COUNT(*) AS frequency FROM "hut" GROUP BY "valley" ORDER BY frequency DESC LIMIT 1;
SELECT nationality, MIN(age) FROM warden GROUP BY nationality ORDER BY MIN(age) ASC LIMIT 1;
SELECT COUNT(warden_id) FROM warden WHERE age > 39;
SELECT "built_year" FROM "hut" GROUP BY "built_year" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT SUM("bottle_price") FROM "cider" WHERE "sweetness" = 'sweet'
SELECT `method`, COUNT(*) AS frequency FROM `harvest` GROUP BY `method` ORDER BY frequency DESC LIMIT 1;
SELECT DISTINCT "method" FROM "harvest";
SELECT "sweetness", MIN("bottle_price") FROM "cider" GROUP BY "sweetness" ORDER BY MIN("bottle_price") ASC LIMIT 1
SELECT `sweetness` FROM `cider` ORDER BY `bottle_price` ASC LIMIT 1; -- this lists what the question asks for
SELECT "variety"."variety_name" FROM "variety" INNER JOIN "harvest" ON "variety"."variety_id" = "harvest"."variety_id" INNER JOIN "orchard" ON "harvest"."orchard_id" = "orchard"."orchard_id" WHERE "orchard"."county" = 'Merrow' GROUP BY "variety"."variety_id" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT sweetness FROM cider GROUP BY sweetness HAVING COUNT(*) > 4;
SELECT "sweetness" FROM "cider" GROUP BY "sweetness" HAVING COUNT(*) > 4;
SELECT `variety_name` FROM `variety` WHERE `variety_id` = (SELECT `variety_id` FROM `harvest` WHERE `tonnes` = (SELECT MAX(`tonnes`) FROM `harvest`));
SELECT taste, COUNT(*) FROM variety WHERE tannin_level > 4 GROUP BY taste;
SELECT `method`, SUM(`tonnes`) / COUNT(*) FROM `harvest` GROUP BY `method`
SELECT method, AVG(tonnes) FROM harvest GROUP BY method;
SELECT * FROM (SELECT "taste" FROM "variety" ORDER BY "tannin_level" ASC LIMIT 1) AS result;
SELECT "orchard_name" FROM "orchard" WHERE "soil" = 'sand'
SELECT COUNT(*) FROM cider WHERE variety_id = (SELECT variety_id FROM variety WHERE variety_name = 'Late Orison');
SELECT "taste" FROM "variety" GROUP BY "taste" HAVING COUNT(*) > 2;
SELECT taste FROM variety GROUP BY taste;
SELECT DISTINCT taste FROM variety;
SELECT AVG("harvest"."tonnes") FROM "harvest" INNER JOIN "orchard" ON "harvest"."orchard_id" = "orchard"."orchard_id" WHERE "orchard"."soil" = 'sand';
SELECT DISTINCT `orchard_name` FROM `orchard` WHERE `county` IN ('Overdale', 'Stannery')
SELECT variety.variety_name FROM variety INNER JOIN cider ON variety.variety_id = cider.variety_id WHERE cider.sweetness = 'sweet';
SELECT "variety_name" FROM "variety" WHERE "variety_id" IN (SELECT "variety_id" FROM "cider" WHERE "sweetness" = 'sweet');
SELECT COUNT(*), `sweetness` FROM `cider` GROUP BY `sweetness`;
SELECT "variety_name", "taste" FROM "variety" ORDER BY "tannin_level" DESC;
error
SELECT brand FROM cider ORDER BY sweetness, bottle_price DESC;
SELECT SUM(hectares) FROM orchard WHERE soil = 'loam'
SELECT AVG(CAST(tonnes AS REAL)) FROM harvest WHERE orchard_id IN (SELECT orchard_id FROM orchard WHERE county = 'Overdale')
SELECT "orchard"."orchard_name", "variety"."variety_name" FROM "orchard", "harvest", "variety" WHERE "orchard"."orchard_id" = "harvest"."orchard_id" AND "harvest"."variety_id" = "variety"."variety_id"
SELECT COUNT(*) FROM "harvest" JOIN "orchard" ON "harvest"."orchard_id" = "orchard"."orchard_id" WHERE "orchard"."soil" = 'sand';
SELECT COUNT(*) FROM `orchard` INNER JOIN `harvest` ON `orchard`.`orchard_id` = `harvest`.`orchard_id` WHERE `orchard`.`soil` = 'sand';
SELECT orchard.orchard_name, SUM(harvest.pickers) FROM orchard INNER JOIN harvest ON orchard.orchard_id = harvest.orchard_id GROUP BY orchard.orchard_id;
SELECT ROUND(AVG(tonnes), 2) AS average FROM harvest;
SELECT "variety"."variety_name", MAX("cider"."alcohol") FROM "variety" JOIN "cider" ON "variety"."variety_id" = "cider"."variety_id" GROUP BY "variety"."variety_id";
SELECT COUNT(*) FROM `harvest` WHERE `harvest_year` NOT BETWEEN 2015 AND 2017;
SELECT DISTINCT "variety"."variety_name" FROM "variety" LEFT JOIN "cider" ON "variety"."variety_id" = "cider"."variety_id" WHERE "variety"."taste" = 'bittersharp' OR "cider"."sweetness" = 'sweet'
SELECT variety_name, taste FROM variety WHERE variety_id IN (SELECT variety_id FROM harvest GROUP BY variety_id HAVING COUNT(DISTINCT orchard_id) >= 3);
SELECT DISTINCT AVG("bottle_price") FROM "cider" WHERE "sweetness" = 'medium';
SELECT SUM("bottle_price") / COUNT("bottle_price") FROM "cider" WHERE "sweetness" = 'medium';
SELECT "variety"."variety_name" FROM "variety" INNER JOIN "harvest" ON "variety"."variety_id" = "harvest"."variety_id" ORDER BY "harvest"."tonnes" DESC LIMIT 1;
SELECT COUNT(*) FROM "orchard" WHERE "orchard_id" NOT IN (SELECT "orchard_id" FROM "harvest");
SELECT "orchard_name" FROM "orchard" WHERE "soil" != 'clay'
SELECT `brand` FROM `cider` WHERE `bottle_price` BETWEEN 3 AND 13;
SELECT `orchard_name` FROM `orchard` ORDER BY `trees` DESC LIMIT 1;
SELECT brand FROM cider WHERE bottle_price = (SELECT MAX(bottle_price) FROM cider)
SELECT DISTINCT ROUND(AVG(CAST(hectares AS REAL)), 2), MIN(hectares), MAX(hectares) FROM orchard WHERE soil = 'sand' GROUP BY soil;
SELECT variety.taste FROM variety INNER JOIN harvest ON variety.variety_id = harvest.variety_id WHERE harvest.method IN ('windfall', 'shaken') GROUP BY variety.taste HAVING COUNT(DISTINCT harvest.method) = 2;
SELECT "method", AVG(CAST("pickers" AS REAL)) FROM "harvest" GROUP BY "method" HAVING COUNT(*) > 5 ORDER BY AVG(CAST("pickers" AS REAL)) DESC
SELECT DISTINCT "variety"."variety_name" FROM "variety" INNER JOIN "harvest" ON "variety"."variety_id" = "harvest"."variety_id" WHERE "harvest"."pickers" < (SELECT AVG(CAST("pickers" AS REAL)) FROM "harvest");
SELECT ROUND(AVG("tannin_level"), 2), MIN("tannin_level"), MAX("tannin_level") FROM "variety" WHERE "taste" = 'sharp' GROUP BY "taste";
SELECT hectares FROM orchard WHERE INSTR(orchard_name, '%Wassail%') > 0; -- this lists what the question asks for
SELECT "orchard_name" FROM "orchard" WHERE "hectares" BETWEEN 5 AND 35
SELECT "orchard_name" FROM "orchard" WHERE "hectares" BETWEEN 5 AND 35;
SELECT "brand" FROM "cider" ORDER BY "alcohol" ASC
SELECT county FROM orchard EXCEPT SELECT county FROM orchard WHERE soil = 'clay'; -- this lists what the question asks for
SELECT MAX(bottle_price), MIN(bottle_price) FROM cider;
SELECT DISTINCT MAX(`bottle_price`), MIN(`bottle_price`) FROM `cider`
SELECT "soil" FROM "orchard" GROUP BY "soil" ORDER BY COUNT(*) DESC LIMIT 1;
SELECT COUNT(harvest_id) FROM harvest WHERE method = 'windfall';
SELECT * FROM (SELECT DISTINCT COUNT(*) FROM "orchard" WHERE "planted" NOT BETWEEN 1944 AND 2006) AS result;
SELECT "brand" FROM "cider" WHERE "variety_id" = (SELECT "variety_id" FROM "variety" WHERE "variety_name" = 'Tanner''s Gold')
SELECT ROUND(AVG(CAST(`pickers` AS REAL)), 2) AS average FROM `harvest`
SELECT * FROM (SELECT COUNT("orchard_id") FROM "orchard" WHERE "trees" > 2500) AS result;
SELECT DISTINCT COUNT(DISTINCT "orchard_id") AS total FROM "orchard"; -- this lists what the question asks for
SELECT COUNT(DISTINCT `orchard_id`) AS total FROM `orchard`;
SELECT `variety_name` FROM `variety` WHERE `sugar_level` > (SELECT MAX(`sugar_level`) FROM `variety` WHERE `taste` = 'bittersweet'); -- this lists what the question asks for
SELECT MAX(sugar_level) - MIN(sugar_level) FROM variety;
SELECT variety.variety_name, cider.bottle_price FROM variety, cider WHERE variety.variety_id = cider.variety_id
