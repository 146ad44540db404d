-- The audit log. Row n is leaf n of an RFC 6962 tree. body is exactly the leaf;
-- hashes are the nodes that leaf n completes, level 0 first, 32 octets each.
CREATE TABLE audit_entry (
	seq    INTEGER PRIMARY KEY CHECK (seq >= 0),
	body   BLOB NOT NULL,
	hashes BLOB NOT NULL CHECK (length(hashes) % 32 = 0)
) STRICT;

-- Checkpoints: each note is a signed note over the first size entries.
CREATE TABLE audit_checkpoint (
	size INTEGER PRIMARY KEY CHECK (size > 0),
	note BLOB NOT NULL
) STRICT;

-- The triggers stop mistakes. They do not stop an attacker, whose changes the tree shows.
CREATE TRIGGER audit_entry_stays BEFORE DELETE ON audit_entry
	BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_entry_fixed BEFORE UPDATE ON audit_entry
	BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_checkpoint_stays BEFORE DELETE ON audit_checkpoint
	BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER audit_checkpoint_fixed BEFORE UPDATE ON audit_checkpoint
	BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
