INSERT INTO account (user, display_name) VALUES (7, 'Alice');
INSERT INTO address (address, user, place) VALUES ('sip:alice@tandem.test', 7, 0), ('tel:+15550100', 7, 1);
INSERT INTO secret (user, realm, username, md5, sha256) VALUES (7, 'tandem.test', 'alice', zeroblob(16), zeroblob(32));
INSERT INTO session (token, user, instance, device_name, created_at, expires_at) VALUES (zeroblob(32), 7, 'urn:uuid:1', 'laptop', 1, 2);
INSERT INTO binding (user, key, address, contact, path, call_id, cseq, hop, user_agent, registered_at, expires_at)
    VALUES (7, 'k', 'sip:alice@tandem.test', '<sip:alice@192.0.2.1>', '["<sip:p.example.org;lr>"]', 'c', 1, 'h', 'u', 1, 2);
INSERT INTO server_secret (name, value) VALUES ('nonce', zeroblob(32));
INSERT INTO counter (name, value) VALUES ('accounts', 1), ('pending', 1);
INSERT INTO box (user, cursor) VALUES (7, 1);
INSERT INTO folder (user, id, peer, seen, change) VALUES (7, 1, 'sip:bob@tandem.test', 0, 0);
INSERT INTO content (id, message_id, sender, recipient, date, content_type, wants, body)
    VALUES (1, 'm1', 'sip:alice@tandem.test', 'sip:bob@tandem.test', 5, 'text/plain', 5, CAST('hello from the past' AS BLOB));
-- The key is the start of SHA-256 of 'm1'.
INSERT INTO entry (user, folder, seq, change, outgoing, incoming, key, content, receipt, seen, delivery_claimed, display_claimed)
    VALUES (7, 1, 1, 1, 1, 0, 222161256667809, 1, 1, 1, 0, 0);
INSERT INTO pending (id, user, kind, expires_at, message_id, request) VALUES (1, 7, 0, 9, 'm2', zeroblob(9));
