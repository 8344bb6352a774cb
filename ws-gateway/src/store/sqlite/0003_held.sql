-- Since when a request waits.
ALTER TABLE pending ADD COLUMN arrived_at INTEGER NOT NULL DEFAULT 0;

-- Messages that wait for their recipient's decision: what a list of them says in columns before the request, so that a list reads no
-- request. The numbers are of one series with those of `pending`; what is released goes there under its own.
CREATE TABLE held (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    arrived_at INTEGER NOT NULL,
    -- When the user is to be told again.
    remind_at INTEGER,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    subject TEXT,
    date INTEGER NOT NULL,
    size INTEGER NOT NULL,
    -- A JSON array of media types.
    content_types TEXT NOT NULL,
    request BLOB NOT NULL
) STRICT;
CREATE INDEX held_of ON held (user);
CREATE INDEX held_by_message ON held (message_id, user);
CREATE INDEX held_expiry ON held (expires_at);
CREATE INDEX held_reminder ON held (remind_at) WHERE remind_at IS NOT NULL;
