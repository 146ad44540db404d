-- Schema 7: archives. Bodies of old audit entries lie in a sealed bundle; their hashes stay here.

CREATE TABLE archives (
	until       INTEGER PRIMARY KEY CHECK (until > first), -- the bundle has the entries 0 to until - 1
	first       INTEGER NOT NULL CHECK (first >= 0),       -- until of the archive before, or 0
	entry       INTEGER NOT NULL CHECK (entry >= until),   -- of the audit log: log.archived
	root        TEXT NOT NULL,                             -- of the first until entries, base64
	sha256      BLOB NOT NULL CHECK (length(sha256) = 32),      -- of the tar file
	removed_sha256 BLOB NOT NULL CHECK (length(removed_sha256) = 32), -- of the list of the entries that lost their bodies, with commas
	sums_sha256 BLOB NOT NULL CHECK (length(sums_sha256) = 32)  -- of its file SHA256SUMS
) STRICT;
CREATE TRIGGER archive_stays BEFORE DELETE ON archives
	BEGIN SELECT RAISE(ABORT, 'archives are append-only'); END;
CREATE TRIGGER archive_fixed BEFORE UPDATE ON archives
	BEGIN SELECT RAISE(ABORT, 'archives are append-only'); END;

-- An empty body says that the body lies in an archive: no entry is empty. Nothing else of an entry changes.
DROP TRIGGER audit_entry_fixed;
CREATE TRIGGER audit_entry_fixed BEFORE UPDATE ON audit_entry
	WHEN NEW.seq <> OLD.seq OR NEW.hashes <> OLD.hashes OR NEW.body <> x''
		OR NOT EXISTS (SELECT 1 FROM archives WHERE OLD.seq >= first AND OLD.seq < until)
	BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- A start finds with it a body that is missing and lies in no archive, without reading the log.
CREATE INDEX audit_entry_archived ON audit_entry (seq) WHERE body = x'';

UPDATE state SET value = '7' WHERE key = 'schema';
