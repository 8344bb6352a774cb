INSERT INTO own_folder (user, id, parent, name, change) VALUES (7, 2, NULL, 'Travel', 2);
INSERT INTO filed (user, own, seq, folder) VALUES (7, 2, 1, 1);
INSERT INTO keyword (user, seq, word, folder) VALUES (7, 1, 'work', 1);
UPDATE entry SET flags = 25, change = 3 WHERE user = 7 AND seq = 1;
UPDATE box SET cursor = 3, objects = 1, bytes = 19 WHERE user = 7;
INSERT OR REPLACE INTO counter (name, value) VALUES ('content', 1);
