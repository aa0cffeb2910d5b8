-- An sqlite3 session: indexes, joins, windows, recursion, triggers, full text, JSON, transactions, vacuum.
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INTEGER, note TEXT);
CREATE TABLE sale(id INTEGER PRIMARY KEY, item INTEGER REFERENCES item, day INTEGER, amount INTEGER);
CREATE TABLE log(what TEXT, n INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item
SELECT i, 'item ' || (i * 7919 % 20011), i * 31 % 997 / 10.0, i % 17, printf('%.*c', i % 90, 'x') FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO sale SELECT i, 1 + i * 104729 % 20000, i % 365, 1 + i % 13 FROM n;
CREATE INDEX sale_item ON sale(item, day);
CREATE INDEX item_name ON item(name COLLATE NOCASE);
CREATE TRIGGER sold AFTER INSERT ON sale BEGIN INSERT INTO log VALUES('sold ' || new.item, new.amount); END;
SELECT kind, count(*), round(avg(price), 3), max(length(note)), group_concat(DISTINCT id % 3) FROM item
GROUP BY kind ORDER BY kind;
SELECT name, sum(amount) s FROM item JOIN sale ON sale.item = item.id GROUP BY item.id ORDER BY s DESC, name LIMIT 10;
SELECT day, amount, sum(amount) OVER (ORDER BY day, id ROWS 5 PRECEDING), rank() OVER (PARTITION BY amount ORDER BY id)
FROM sale WHERE item BETWEEN 100 AND 110 ORDER BY id LIMIT 30;
BEGIN; INSERT INTO sale SELECT NULL, item, day + 1, amount FROM sale WHERE id % 7 = 0;
SELECT count(*), sum(n) FROM log; ROLLBACK;
INSERT INTO sale SELECT NULL, item, day + 1, amount FROM sale WHERE id % 11 = 0;
SELECT count(*), sum(n), min(what) FROM log;
CREATE VIRTUAL TABLE text USING fts5(body);
INSERT INTO text SELECT name || ' kind' || kind || ' day' || (id % 365) FROM item;
SELECT count(*) FROM text WHERE text MATCH 'kind3 NOT day7*';
SELECT highlight(text, 0, '<', '>') FROM text WHERE text MATCH '"item 77"' ORDER BY rank LIMIT 3;
SELECT json_group_array(json_object('k', kind, 'n', n))
FROM (SELECT kind, count(*) n FROM item GROUP BY kind ORDER BY kind);
SELECT count(*), sum(json_extract(value, '$[1]'))
FROM json_each((SELECT json_group_array(json_array(id, kind)) FROM item));
UPDATE item SET note = upper(note) || id WHERE kind IN (SELECT kind FROM item GROUP BY kind HAVING kind % 2);
DELETE FROM item WHERE id % 3 = 0;
PRAGMA integrity_check;
VACUUM;
SELECT count(*), sum(length(note)) FROM item;
SELECT * FROM nothing;
