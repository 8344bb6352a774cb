-- What happened to a user's messages, step by step: a bounded log for people to read, in pieces of JSON lines.
CREATE TABLE trail (
    user INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (user, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX trail_age ON trail (at);
