-- Flags: 1 is \Flagged, 2 is \Deleted, 4 is gone for good, 8 says that there are keywords, 16 that it is filed in a folder of the owner's.
ALTER TABLE entry ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;
CREATE INDEX entry_flagged ON entry (user, seq) WHERE flags & 1;

-- Flags: 1 is \Archived, 2 is \Pinned. `flagged` is the change that set them last.
ALTER TABLE folder ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;
ALTER TABLE folder ADD COLUMN flagged INTEGER NOT NULL DEFAULT 0;

-- What the box holds, and the greatest change of which nothing is left.
ALTER TABLE box ADD COLUMN objects INTEGER NOT NULL DEFAULT 0;
ALTER TABLE box ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE box ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;
UPDATE box SET
    objects = (SELECT count(*) FROM entry e WHERE e.user = box.user),
    bytes = (SELECT coalesce(sum(length(c.body)), 0) FROM entry e JOIN content c ON c.id = e.content WHERE e.user = box.user);

-- The words that the owner has put on an object.
CREATE TABLE keyword (
    user INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    word TEXT NOT NULL,
    folder INTEGER NOT NULL,
    PRIMARY KEY (user, seq, word)
) STRICT, WITHOUT ROWID;
CREATE INDEX keyword_of ON keyword (user, word, seq);

-- Folders that the owner has made. One that is gone has no name until it is forgotten.
CREATE TABLE own_folder (
    user INTEGER NOT NULL,
    id INTEGER NOT NULL,
    parent INTEGER,
    name TEXT,
    change INTEGER NOT NULL,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE filed (
    user INTEGER NOT NULL,
    own INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    PRIMARY KEY (user, own, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX filed_in ON filed (user, seq);

-- Since when an object is \Deleted (0) or gone (1): what housekeeping ends, or forgets.
CREATE TABLE gone (
    user INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    purged INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (user, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX gone_at ON gone (purged, at);

-- The documents that were dropped, in the change that dropped them.

CREATE TABLE dropped_document (
    user INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (user, kind, name)
) STRICT, WITHOUT ROWID;

-- The numbers of contents are never used twice: the index of their words follows them.
INSERT INTO counter (name, value) SELECT 'content', coalesce(max(id), 0) FROM content;

-- By content. Each word stands there once for each owner of a copy, behind the owner's number: whoever searches reads nothing of others.
CREATE VIRTUAL TABLE words USING fts5(text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
