-- Schema 11: boards that wait for a rework, and the algorithm of each key.

-- The next Run of such a board and purpose gives the board a new certificate. The mark is spent when that certificate becomes active.
CREATE TABLE reworks (
	board_id TEXT NOT NULL REFERENCES boards (id),
	purpose  TEXT NOT NULL CHECK (purpose IN ('tls', 'cose')),
	since    TEXT,             -- time of the entry that marked the board; NULL: the mark is spent, or was withdrawn
	reason   TEXT NOT NULL,    -- of the newest entry that marked the board or withdrew the mark
	entry    INTEGER NOT NULL, -- number of that entry
	PRIMARY KEY (board_id, purpose)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER rework_stays BEFORE DELETE ON reworks
	BEGIN SELECT RAISE(ABORT, 'marks for a rework stay'); END;

-- All keys of before are P-256 keys, with ECDSA and SHA-256.
ALTER TABLE keys ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'ecdsa-p256';

UPDATE state SET value = '11' WHERE key = 'schema';
