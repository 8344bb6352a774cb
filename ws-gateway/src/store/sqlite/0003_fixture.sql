INSERT INTO held (id, user, expires_at, arrived_at, message_id, sender, date, size, content_types, request)
    VALUES (2, 7, 9, 1, 'm3', 'sip:bob@tandem.test', 1, 5, '["text/plain"]', zeroblob(9));
