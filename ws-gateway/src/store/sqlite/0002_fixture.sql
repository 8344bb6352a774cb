INSERT INTO document (user, kind, name, version, body) VALUES (7, 0, 'index', 1, CAST('<preferences/>' AS BLOB));
