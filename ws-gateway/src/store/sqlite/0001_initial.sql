-- Users. A number is never used twice, so that nothing of a removed account can come to another.
CREATE TABLE account (
    user INTEGER PRIMARY KEY AUTOINCREMENT,
    display_name TEXT NOT NULL
) STRICT;

CREATE TABLE address (
    address TEXT NOT NULL PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    -- 0 is the primary identity.
    place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX address_of ON address (user, place);

CREATE TABLE secret (
    user INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    realm TEXT NOT NULL,
    username TEXT NOT NULL,
    md5 BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (user, realm, username)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    token BLOB NOT NULL PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    instance TEXT NOT NULL,
    device_name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of ON session (user);

CREATE TABLE binding (
    user INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    key TEXT NOT NULL,
    address TEXT NOT NULL,
    contact TEXT NOT NULL,
    -- A JSON array of header values.
    path TEXT NOT NULL,
    call_id TEXT NOT NULL,
    cseq INTEGER NOT NULL,
    hop TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user, key)
) STRICT, WITHOUT ROWID;

-- The server's own secrets, and numbers that only grow.
CREATE TABLE server_secret (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A user's box: the counter that `entry.seq` and `entry.change` are taken from.
CREATE TABLE box (
    user INTEGER PRIMARY KEY,
    cursor INTEGER NOT NULL
) STRICT;

CREATE TABLE folder (
    user INTEGER NOT NULL,
    -- The seq of the folder's first message.
    id INTEGER NOT NULL,
    peer TEXT NOT NULL,
    -- How many of its incoming messages were seen: so many from the first on.
    seen INTEGER NOT NULL,
    -- The greatest change of a message after it came.
    change INTEGER NOT NULL,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX folder_with ON folder (user, peer);

-- What a message is, once for all copies that one unit stores.
CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL,
    conversation TEXT,
    contribution TEXT,
    in_reply_to TEXT,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    date INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    wants INTEGER NOT NULL,
    expires INTEGER,
    body BLOB NOT NULL
) STRICT;

-- A user's copy: small, so that many lie on one page, and next to its neighbours in the thread. What a new message costs is the
-- number of pages that it touches. Hence no index by seq alone, and nothing of `folder` that changes with each message: the newest
-- entry of a folder tells what is new in it.
CREATE TABLE entry (
    user INTEGER NOT NULL,
    folder INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    change INTEGER NOT NULL,
    outgoing INTEGER NOT NULL,
    -- How many of the folder's messages were incoming, with this one: the newest one's count without `folder.seen` are unread.
    incoming INTEGER NOT NULL,
    -- 48 bits of the message identifier's hash; the identifier itself is compared in `content`.
    key INTEGER NOT NULL,
    content INTEGER NOT NULL,
    receipt INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    delivery_claimed INTEGER NOT NULL,
    display_claimed INTEGER NOT NULL,
    PRIMARY KEY (user, folder, seq)
) STRICT, WITHOUT ROWID;
-- By key first: all copies of a message are on one page.
CREATE INDEX entry_by_key ON entry (key, user);
-- Only those that changed after they came: the others are found by seq.
CREATE INDEX entry_changed ON entry (user, change) WHERE change > seq;

-- Requests that wait for a device.
CREATE TABLE pending (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    request BLOB NOT NULL
) STRICT;
CREATE INDEX pending_of ON pending (user);
CREATE INDEX pending_expiry ON pending (expires_at);
