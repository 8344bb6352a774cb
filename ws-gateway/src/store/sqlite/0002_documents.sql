-- A user's small documents. The version is a change of their box.
CREATE TABLE document (
    user INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (user, kind, name)
) STRICT, WITHOUT ROWID;
