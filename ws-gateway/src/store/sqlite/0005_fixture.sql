INSERT INTO trail (user, seq, at, body) VALUES (7, 1, 1, zeroblob(9));
